"""`make containers`: every scenario in real containers, as a table. The code is 1 on any miss."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from typing import Optional

from tests.containers import scenarios
from tests.containers.container import ContainerFailed
from tests.containers.lab import Lab
from tests.support.scenarios import find_scenarios, play
from tests.vm.roots import find_cache
from tests.vm.shell import BuildFailed


def main(argv: Optional[list[str]] = None) -> int:
    """Build, play, count."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="python -m tests.containers", description=__doc__)
    parser.add_argument("scenario", nargs="*", help="all, if none is named")
    chosen = find_scenarios(scenarios, parser.parse_args(argv).scenario)
    began = time.monotonic()
    lab = Lab(find_cache())
    try:
        misses = sum(play(lab, scenario, ContainerFailed, BuildFailed) for scenario in chosen)
    except KeyboardInterrupt:
        print("\nInterrupted", file=sys.stderr)
        return 130
    verdict = f"{misses} misses" if misses else "All well"
    print(f"\n{verdict}; {time.monotonic() - began:.0f} s")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
