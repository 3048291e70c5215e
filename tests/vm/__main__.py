"""`make vm`: every scenario in a real virtual machine, as a table. The code is 1 on any miss."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Optional

from tests.support.scenarios import find_scenarios, play
from tests.vm import scenarios
from tests.vm.agents import choose_agent
from tests.vm.lab import Lab, make_person
from tests.vm.qemu import MachineFailed
from tests.vm.roots import DebianRoot, GivenRoot, Root, find_cache
from tests.vm.shell import BuildFailed


def build_parser() -> argparse.ArgumentParser:
    """The accepted command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm", description=__doc__)
    parser.add_argument("--suite", default="bookworm", help="of Debian: bookworm, trixie")
    parser.add_argument("--root", type=Path, help="another distribution: a folder or a tar file")
    parser.add_argument("--family", default="debian", help="which one that is, as `make install`")
    parser.add_argument("--agent", help="ours, debian, source (for --root), or a .deb")
    parser.add_argument("--break", type=Path, dest="damage", help="one of tests/vm/breaks/")
    parser.add_argument("scenario", nargs="*", help="all, if none is named")
    return parser


def main(argv: Optional[list[str]] = None) -> int:
    """Build, play, count."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    args = build_parser().parse_args(argv)
    chosen = find_scenarios(scenarios, args.scenario)
    name = args.agent or ("source" if args.root else "ours")
    if args.root and args.family not in ("debian", "ubuntu") and name != "source":
        raise SystemExit(f"cannot install {name} with apt in a root of the family {args.family}")
    root: Root = GivenRoot(args.root, args.family) if args.root else DebianRoot(args.suite)
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="waagent-lab-"))
    try:
        base = root.ensure(find_cache())
        agent = choose_agent(name, args.damage)
        lab = Lab(base, agent, folder, make_person(folder))
        print(f"{base.title} with {agent.title}, in QEMU without KVM", flush=True)
        misses = sum(play(lab, scenario, MachineFailed, BuildFailed) for scenario in chosen)
    except BuildFailed as e:
        print(f"\nFAILED: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted", file=sys.stderr)
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    verdict = f"{misses} misses" if misses else "All well"
    print(f"\n{verdict}; {time.monotonic() - began:.0f} s")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
