"""The matrix for people: docs/kills.md, from the same rows that the tests play."""

from __future__ import annotations

from pathlib import Path

from tests.kills.points import POINTS, Asked, At, Before, Reported
from tests.kills.scenarios import SCENARIOS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/kills.md"
CHOSEN = frozenset(
    {
        "install: package downloaded half",
        "install: half moved into place",
        "install: install runs",
        "install: enabled, not noted",
        "update: old disable runs",
        "update: old half removed",
        "update without install: new noted, old not removed",
        "uninstall: uninstall runs",
        "uninstall: half removed",
        "a handler is named no more: half removed",
        "several: update: old a disabled, not noted",
        "several: one goes, one comes: a forgotten, not noted",
    }
)
HEAD = f"""# What a killed child leaves, and what the next one makes of it

Written by `python -m tests.kills` from the rows that the tests play. In each row the real child
process gets SIGKILL at the point named, and is started again against the same fabric. It must end
as an undisturbed run ends: the same folders, files, modes, contents and states, and the same
statuses at the fabric. No two commands run at once. The commands that the next start runs are the
end of the undisturbed order: it begins at the latest with the one that was running, and leaves out
none after it. A command that still runs is waited for, within its own time limit; the fabric is
told a status meanwhile, and the command is run again afterwards, since nobody knows how it ended.

`make check` plays the rows marked *. `make kills` plays all of them, and kills the child before
every single step of each of the {len(SCENARIOS)} scenarios: each file that is written, renamed or
removed, and each command that is started.

| scenario | the child is killed | how | the next start runs |
| --- | --- | --- | --- |
"""


def render() -> str:
    """The whole document."""
    rows = (
        f"| {p.scenario.name} | {p.name}{'*' if p.title in CHOSEN else ''} | {_how(p.at)} |"
        f" {p.again or 'nothing'} |\n"
        for p in POINTS
    )
    return HEAD + "".join(rows)


def _how(at: At) -> str:
    if isinstance(at, Before):
        return "before the step"
    if isinstance(at, Asked):
        return "half of the answer has come" if at.half else "no answer has come"
    return "the fabric has the status" if isinstance(at, Reported) else "by the command itself"
