"""Scenarios as modules of a package: found by name, played one by one, told as a table."""

from __future__ import annotations

import importlib
import pkgutil
import time
from collections.abc import Iterable
from types import ModuleType
from typing import Any


def find_scenarios(package: ModuleType, names: Iterable[str]) -> list[ModuleType]:
    """The modules of the scenarios that were asked for, or all."""
    known = sorted(m.name for m in pkgutil.iter_modules(package.__path__))
    wanted = list(names) or known
    for name in wanted:
        if name not in known:
            raise SystemExit(f"cannot find the scenario {name}; there are {', '.join(known)}")
    return [importlib.import_module(f"{package.__name__}.{name}") for name in wanted]


def play(lab: Any, scenario: ModuleType, *ends_early: type[Exception]) -> int:
    """Play a scenario and print what was found; the number of misses."""
    name = scenario.__name__.rpartition(".")[2]
    print(f"\n{name}: {(scenario.__doc__ or '').strip()}", flush=True)
    expected: tuple[type[Exception], ...] = (OSError, *ends_early)
    started, misses, count = time.monotonic(), 0, 0
    try:
        for finding in scenario.play(lab):
            print(finding.render(), flush=True)
            misses += not finding.good
            count += 1
    except expected as e:
        print(f"  MISS the scenario ended early: {e}", flush=True)
        misses += 1
    took = time.monotonic() - started
    print(f"  {count} looks, {misses} misses, {took:.0f} s", flush=True)
    return misses
