"""Fuzzing that follows coverage, with atheris: `python -m tests.fuzz [--seconds N] [TARGET...]`.

Not a part of `make check`: atheris has wheels for few interpreters, and is installed by hand into
an environment that has the agent's packages. Each target runs in a process of its own; what is
found is left in the folder that is named, as the input that did it.
"""

from __future__ import annotations

import argparse
import importlib
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.mutations import WORDS
from tests.fuzz.structure import mutate

PROJECT = Path(__file__).resolve().parents[2]
LONGEST = 64 * 1024
_LAST = re.compile(rb"^#(\d+)\s+\S+\s+cov: (\d+) ft: (\d+)", re.MULTILINE)


def main() -> int:
    """Fuzz the targets in turn, or be the process of one of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help="names of parsers; all when there is none")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--findings", type=Path, help="a folder for what is found")
    parser.add_argument("--within", help=argparse.SUPPRESS)  # one target's own process
    given, rest = parser.parse_known_args()
    if given.within is not None:
        return _fuzz(given.within, [*given.targets, *rest])
    from tests.fuzz.targets import TARGETS

    names = [str(target) for target in TARGETS]
    unknown = set(given.targets) - set(names)
    if unknown:
        parser.error(f"no target is called {', '.join(sorted(unknown))}")
    folder = given.findings or Path(tempfile.mkdtemp(prefix="waagent-fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    well = [_run(name, given.seconds, folder) for name in given.targets or names]
    print(f"{sum(well)} of {len(well)} targets without a finding; findings are in {folder}")
    return 0 if all(well) else 1


def _run(name: str, seconds: int, folder: Path) -> bool:
    """Fuzz one target in a process of its own; its row is printed."""
    with tempfile.TemporaryDirectory() as corpus:
        _write_seeds(name, Path(corpus))
        words = Path(corpus).with_suffix(".words")
        words.write_text("\n".join(_quoted(word) for word in WORDS if len(word) <= 64))
        argv = [sys.executable, "-m", "tests.fuzz", "--within", name, corpus]
        argv += [f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-dict={words}"]
        argv += [f"-artifact_prefix={folder}/{name}-", "-timeout=20", "-rss_limit_mb=2048"]
        started = time.monotonic()
        done = subprocess.run(
            argv, cwd=PROJECT, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, check=False
        )
        words.unlink()
    runs, edges, features = [(b"?",) * 3, *_LAST.findall(done.stdout)][-1]
    verdict = "ok" if done.returncode == 0 else f"FOUND SOMETHING ({done.returncode})"
    print(
        f"{name:<28} {runs.decode():>9} runs {time.monotonic() - started:5.0f} s"
        f" {edges.decode():>6} edges {features.decode():>6} features  {verdict}",
        flush=True,
    )
    if done.returncode != 0:
        (folder / f"{name}.log").write_bytes(done.stdout[-20_000:])
    return done.returncode == 0


def _quoted(word: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"'


def _write_seeds(name: str, corpus: Path) -> None:
    from tests.fuzz.targets import TARGETS
    from tests.support.samples import sample

    (target,) = (each for each in TARGETS if str(each) == name)
    documents = [*target.seeds, *(sample(path) for path in target.samples)]
    for number, data in enumerate(documents):
        (corpus / f"seed-{number}").write_bytes(data)


def _fuzz(name: str, rest: list[str]) -> int:
    """Be fuzzed: ends when the time is over, or with the first breach of a parser's contract."""
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        print("cannot fuzz without atheris: install it with pip, beside the agent's packages")
        return 2
    with atheris.instrument_imports(include=["waagent"]):
        from tests.fuzz.targets import TARGETS
        from tests.fuzz.test_parsers import check
    (target,) = (each for each in TARGETS if str(each) == name)

    def try_one(data: bytes) -> None:
        check(target, data)

    def change(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        changed = mutate(data, random) if random.random() < 0.5 else data
        if changed == data or random.random() < 0.2:
            changed = atheris.Mutate(changed, max(most, len(changed)))
        return bytes(changed[:most])

    atheris.Setup([sys.argv[0], *rest], try_one, custom_mutator=change)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
