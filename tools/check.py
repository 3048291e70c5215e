"""`make check`: all that CI runs short of the VM, in the order in which one wants the answer.

format, lint, types, contracts, unit, integration; a failure stops nothing, the table tells all.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.environments import ROOT, Environment, choose_environments
from tools.interpreters import find_interpreters

LINTED = ("waagent", "tests", "tools", "setup.py", "bin/waagent")
UNIT = ("tests/unit", "tests/emulator")
PACKAGE_USERS = (
    "tests/unit/protocol",
    "tests/unit/core/test_http.py",
    "tests/unit/core/test_http_routes.py",
    "tests/unit/core/test_http_floods.py",
    "tests/unit/core/test_xml.py",
)
# Whole machines, and thousands of mutated documents: one interpreter is enough for these, since
# what differs between interpreters and packages is found by the others.
ONCE = ("tests/e2e", "tests/fuzz", "tests/endurance", "tests/kills", "tests/outages")


@dataclass(frozen=True)
class Step:
    """One command in one environment."""

    kind: str
    environment: Environment
    argv: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """How a step ended."""

    step: Step
    code: int
    seconds: float
    last_line: str


def module(environment: Environment, *words: str) -> tuple[str, ...]:
    """A Python module as a command."""
    return (str(environment.python), "-m", *words)


def pytest(environment: Environment, kind: str, *words: str, workers: int) -> Step:
    """A run of pytest; xdist spreads it over processes."""
    spread = ("-n", str(workers), "--dist", "worksteal")
    slowest = ("--durations=3", "--durations-min=3")  # five minutes are soon gone
    argv = module(environment, "pytest", "-q", *spread, *slowest, *words)
    return Step(kind, environment, argv)


def plan_steps(environments: tuple[Environment, ...]) -> list[Step]:
    """Everything that is run, in order."""
    main = environments[0]
    processors = os.cpu_count() or 1
    waiting = processors * 2  # integration tests wait more than they compute
    lint_imports = (str(main.python.parent / "lint-imports"),)
    steps = [
        Step("format", main, module(main, "ruff", "format", "--check", *LINTED)),
        Step("lint", main, module(main, "ruff", "check", *LINTED)),
        Step("types", main, module(main, "mypy", "-p", "waagent", "-p", "tests", "-p", "tools")),
        Step("contracts", main, lint_imports),
        pytest(main, "contracts", "tests/architecture", workers=processors),
    ]
    # All on the two that are furthest apart. The one between them has no code or package of its
    # own, but another combination of them: there, what uses packages is enough.
    ends = environments[:1] + environments[1:][-1:]
    for each in environments:
        tested = UNIT if each in ends else PACKAGE_USERS
        steps.append(pytest(each, "unit", *tested, workers=processors))
    apart = [f"--ignore={folder}" for folder in (*UNIT, "tests/architecture", *ONCE)]
    steps += [pytest(e, "integration", "tests", *apart, workers=waiting) for e in ends]
    return [*steps, pytest(main, "integration", *ONCE, workers=waiting)]


def run(step: Step) -> Outcome:
    """Run a step with its output shown as it comes."""
    print(f"\n== {step.kind}: {step.environment.title}", flush=True)
    started = time.monotonic()
    last = ""
    with subprocess.Popen(
        step.argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        for line in child.stdout or ():
            print(line, end="", flush=True)
            last = line.strip() or last
    return Outcome(step, child.returncode, time.monotonic() - started, last.strip("= "))


def show_table(outcomes: list[Outcome], seconds: float) -> None:
    """Print one row a step."""
    print("\n== Summary")
    for outcome in outcomes:
        verdict = "ok" if outcome.code == 0 else f"FAILED ({outcome.code})"
        where = outcome.step.environment.title
        print(
            f"{verdict:<12} {outcome.step.kind:<12} {where:<42} "
            f"{outcome.seconds:6.1f} s  {outcome.last_line[:70]}"
        )
    failed = sum(outcome.code != 0 for outcome in outcomes)
    print(f"{len(outcomes) - failed} of {len(outcomes)} steps are well; {seconds:.0f} s in all")


def main(argv: list[str]) -> int:
    """Make the environments, run the steps that were named, or all, and say how each ended."""
    environments = choose_environments(find_interpreters())
    if argv == ["environments"]:
        for environment in environments:
            environment.ensure()
        return 0
    if environments[-1].name != "floor":
        print("Not run with the oldest packages: they exist for Python 3.9 and 3.10 only")
        if os.environ.get("CI"):
            return 1  # in CI nothing is left out
    started = time.monotonic()
    made = [environment.ensure() for environment in environments]
    if any(made):
        print(f"The environments took {time.monotonic() - started:.0f} s")
    if os.geteuid() != 0:
        print("Not root: tests that need mounts, namespaces or other users are skipped and say so")
    steps = [s for s in plan_steps(environments) if not argv or s.kind in argv]
    outcomes = [run(step) for step in steps]
    show_table(outcomes, time.monotonic() - started)
    return 1 if any(outcome.code for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
