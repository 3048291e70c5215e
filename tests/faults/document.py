"""The table for people: docs/faults.md, from the same rows that the tests run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.e2e.kills import DAEMON, KILLS
from tests.faults.chosen import NAMES, chosen, others
from tests.faults.commands import PROGRAMS, command_faults
from tests.faults.disks import DISKS
from tests.faults.rows import How, Outcome

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/faults.md"
HEAD = """# What a first boot makes of faults

Written by `python -m tests.faults` from the rows that the tests run, and held against them by a
test. Every row of the commands runs in process with `make check`
(`tests/integration/daemon/test_fault_commands.py`), where programs and time are stood in for. On a
real first boot `make check` runs these rows (`tests/e2e/test_fault_table.py`):

{checked}
All other rows of disks and commands run on a real one with `make faults` alone
(`tests/e2e/every_fault.py`); {never} are in process only. SIGKILL to the real process is
`tests/e2e/test_kill_points.py`. "Next start" is after the fault has gone.
"""
TITLES = (
    "| fault | what happens | what the fabric hears | after the next start |\n"
    "| --- | --- | --- | --- |\n"
)


def render() -> str:
    """The whole document."""
    real = {row.name for row in (*chosen(), *others())}
    never = [p.name for p in PROGRAMS if f"{p.name} {How.FAILS.value}" not in real]
    head = HEAD.format(checked="".join(f"- {name}\n" for name in NAMES), never=" and ".join(never))
    limits = ", ".join(f"{p.name} {p.limit_s} s" for p in PROGRAMS)
    commands = ((row.name, row.outcome) for row in command_faults())
    disks = ((row.name, row.outcome) for row in DISKS)
    kills = "".join(
        f"| {kill.name} | {'daemon' if kill.victim == DAEMON else 'child'} is killed |"
        " Ready, after the next start | Ready, with all that was asked, once |\n"
        for kill in KILLS
    )
    return (
        f"{head}\n## Commands\n\nOne that {How.HANGS.value} is killed at its limit: {limits}.\n\n"
        f"{TITLES}{_rows(commands)}\n## Disks\n\n{TITLES}{_rows(disks)}\n## SIGKILL\n\n"
        f"{TITLES}{kills}"
    )


def _rows(rows: Iterable[tuple[str, Outcome]]) -> str:
    return "".join(
        f"| {name} | {outcome.effect} | {outcome.heard} | {outcome.afterwards} |\n"
        for name, outcome in rows
    )
