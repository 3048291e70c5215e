"""`make containers`: every scenario in real containers, as a table. The code is 1 on any miss."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import signal
import sys
import time
from collections.abc import Iterable
from types import ModuleType
from typing import Optional

from tests.containers import scenarios
from tests.containers.container import ContainerFailed
from tests.containers.lab import Lab
from tests.vm.roots import find_cache
from tests.vm.shell import BuildFailed


def find_scenarios(names: Iterable[str]) -> list[ModuleType]:
    """The modules of the scenarios that were asked for, or all."""
    known = sorted(m.name for m in pkgutil.iter_modules(scenarios.__path__))
    wanted = list(names) or known
    for name in wanted:
        if name not in known:
            raise SystemExit(f"cannot find the scenario {name}; there are {', '.join(known)}")
    return [importlib.import_module(f"{scenarios.__name__}.{name}") for name in wanted]


def play(lab: Lab, scenario: ModuleType) -> int:
    """Play a scenario and print what was found; the number of misses."""
    name = scenario.__name__.rpartition(".")[2]
    print(f"\n{name}: {(scenario.__doc__ or '').strip()}", flush=True)
    started, misses, count = time.monotonic(), 0, 0
    try:
        for finding in scenario.play(lab):
            print(finding.render(), flush=True)
            misses += not finding.good
            count += 1
    except (ContainerFailed, BuildFailed, OSError) as e:
        print(f"  MISS the scenario ended early: {e}", flush=True)
        misses += 1
    took = time.monotonic() - started
    print(f"  {count} looks, {misses} misses, {took:.0f} s", flush=True)
    return misses


def main(argv: Optional[list[str]] = None) -> int:
    """Build, play, count."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="python -m tests.containers", description=__doc__)
    parser.add_argument("scenario", nargs="*", help="all, if none is named")
    chosen = find_scenarios(parser.parse_args(argv).scenario)
    began = time.monotonic()
    lab = Lab(find_cache())
    try:
        misses = sum(play(lab, scenario) for scenario in chosen)
    except KeyboardInterrupt:
        print("\nInterrupted", file=sys.stderr)
        return 130
    verdict = f"{misses} misses" if misses else "All well"
    print(f"\n{verdict}; {time.monotonic() - began:.0f} s")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
