"""`make bench`: agents in turns, each round in a fresh machine, then a table, JSON and a picture.

The code is 0 when everything was measured; with `--strict` also only if every budget is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Optional

from tests.bench.figures import OK, Row, build_rows
from tests.bench.picture import render_picture
from tests.bench.prepare import KEYS, Prepared
from tests.bench.record import Round, to_plain
from tests.bench.rounds import Plan, measure
from tests.bench.table import render_notes, render_table
from tests.vm.agents import CHECKOUT, choose_agent
from tests.vm.lab import Lab, make_person
from tests.vm.qemu import MachineFailed
from tests.vm.roots import DebianRoot, find_cache
from tests.vm.shell import BuildFailed


def build_parser() -> argparse.ArgumentParser:
    """The accepted command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--suite", default="bookworm", help="of Debian: bookworm, trixie")
    parser.add_argument(
        "--agents",
        nargs="+",
        default=["ours", "debian"],
        help="ours, debian, or a .deb; the first is judged against the last",
    )
    parser.add_argument("--rounds", type=int, default=3, help="machines for each agent")
    parser.add_argument(
        "--idle-rounds", type=int, default=1, help="in how many of them it is idle for a while"
    )
    parser.add_argument("--idle", type=float, default=300.0, help="seconds of that")
    parser.add_argument("--changes", type=int, default=5, help="of settings, in each round")
    parser.add_argument("--out", type=Path, default=CHECKOUT / "build" / "bench")
    parser.add_argument("--strict", action="store_true", help="fail if a budget is not kept")
    return parser


def name_agents(words: Sequence[str]) -> list[str]:
    """A name for each that no other has: the word, or the file's name."""
    names: list[str] = []
    for word in words:
        name = Path(word).name
        names.append(name if name not in names else f"{name} #{names.count(name) + 1}")
    return names


def run_rounds(labs: dict[str, Lab], args: argparse.Namespace) -> list[Round]:
    """Every agent in the first round, every agent in the second, and so on."""
    rounds = []
    for number in range(1, args.rounds + 1):
        with_idle = number <= args.idle_rounds
        plan = Plan(changes=args.changes, idle_s=args.idle if with_idle else 0.0)
        for name, lab in labs.items():
            record = Round(name, number, load_before=os.getloadavg()[0])
            measure(lab, record, plan, args.out / f"{_file_name(name)}-{number}")
            said = record.failed or "measured"
            print(f"  {name}, round {number}: {said} in {record.took_s:.0f} s", flush=True)
            rounds.append(record)
            write_results(args, rounds, list(labs))
    return rounds


def write_results(args: argparse.Namespace, rounds: list[Round], agents: list[str]) -> list[Row]:
    """The JSON file with every raw number, the table, and the picture."""
    rows = build_rows(rounds, agents)
    facts: dict[str, Any] = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "suite": args.suite,
        "settings_of_every_agent": KEYS,
        "agents": agents,
        "processors": os.cpu_count(),
        "rounds": [asdict(r) for r in rounds],
        "figures": [
            {
                "key": row.figure.key,
                "title": row.figure.title.strip(),
                "unit": row.figure.unit,
                "budget": row.figure.budget,
                "recorded": row.figure.recorded,
                "medians": dict(zip(agents, (v.median for v in row.values))),
                "limit": row.limit,
                "verdict": row.verdict,
            }
            for row in rows
        ],
    }
    args.out.mkdir(parents=True, exist_ok=True)
    document = json.dumps(to_plain(facts), indent=1) + "\n"
    (args.out / "bench.json").write_text(document, encoding="utf-8")
    text = f"{render_table(rows, agents)}\n\n{render_notes(rounds)}\n"
    (args.out / "bench.txt").write_text(text, encoding="utf-8")
    (args.out / "boot.svg").write_text(render_picture(rounds, agents), encoding="utf-8")
    return rows


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name)


def main(argv: Optional[list[str]] = None) -> int:
    """Prepare the images, measure, tell."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    args = build_parser().parse_args(argv)
    args.out = args.out.resolve()
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="waagent-bench-"))
    try:
        base = DebianRoot(args.suite).ensure(find_cache())
        person = make_person(folder)
        labs = {
            name: Lab(base, Prepared(choose_agent(word), name), folder, person)
            for name, word in zip(name_agents(args.agents), args.agents)
        }
        for name, lab in labs.items():
            print(f"Installing {name}: {lab.agent.title}", flush=True)
            lab.image(lab.agent)
        print(f"{base.title} with {', '.join(labs)}, in QEMU without KVM", flush=True)
        rounds = run_rounds(labs, args)
    except (BuildFailed, MachineFailed) as e:
        print(f"\nFAILED: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted", file=sys.stderr)
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rows = build_rows(rounds, list(labs))
    print(f"\n{(args.out / 'bench.txt').read_text(encoding='utf-8')}")
    print(f"In {args.out}: bench.json, boot.svg, logs; {time.monotonic() - began:.0f} s")
    if any(r.failed and r.agent == next(iter(labs)) for r in rounds):
        return 1
    return int(args.strict and any(row.verdict not in ("", OK) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
