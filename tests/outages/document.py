"""docs/outages.md: its parts are tables that commands write, and that tests read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/outages.md"
HOUR, REAL, CHILD = "An hour in compressed time", "Minutes in real time", "With the real child"
PACKAGE = "A large package"
HEADS: dict[str, str] = {
    HOUR: (
        "The child's loop and its threads, each fault on each endpoint; `python -m tests.outages"
        " hour` writes this. When\nthe fault comes there is a new goal state too, with a package to"
        " fetch. *A minute* is the minute with the most\nrequests. *Back* is the time from the"
        " repair until a change that was made then is reported as done. Where\nno status gets out"
        " at all, the longest time without one is the hour and the turn that it ends in. What the\n"
        "spec's tables say of retries (WIRE 2.8) is what bounds the requests: a throttling fabric"
        " is asked once a second by\neach thread.\n\n"
        "| endpoint | fault | requests | a minute | log lines | CPU s | longest without status, s |"
        " back, s |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n"
    ),
    REAL: (
        "The real child process; `python -m tests.outages real` writes this. Figures are scaled to"
        " an hour.\n\n"
        "| fault everywhere | minutes | requests an hour | log lines an hour | CPU s an hour |"
        " back, s |\n| --- | --- | --- | --- | --- | --- |\n"
    ),
    CHILD: (
        "The real child process, each fault on each group of endpoints for 20 s with a new goal"
        " state; then the repair and another\ngoal state, which it has to report as done by itself;"
        " then SIGTERM. `python -m tests.outages child` writes this.\n\n"
        "| endpoints | fault | requests | CPU s | back, s | end, s |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
    ),
    PACKAGE: (
        "What the real child has in memory (resident, files too) before an update of an extension,"
        " and at the most while it\nfetches, unpacks and runs it; `python -m tests.outages package`"
        " writes this.\n\n"
        "| way | MB | kB before | kB at the most | kB more |\n| --- | --- | --- | --- | --- |\n"
    ),
}
TITLE = """# What an outage of the fabric costs

Four tables, each written by a command that runs what it shows; `make outages` runs all of them.
Tests of `make check` read them, and run some of their rows again.
"""


def write(part: str, rows: Iterable[Sequence[object]]) -> None:
    """Replace the rows of one part."""
    known = {each: read(each) for each in HEADS}
    known[part] = [tuple(str(cell) for cell in row) for row in rows]
    text = TITLE
    for each, head in HEADS.items():
        lines = "".join("| " + " | ".join(row) + " |\n" for row in known[each])
        text += f"\n## {each}\n\n{head}{lines}"
    DOCUMENT.write_text(text, encoding="utf-8")


def read(part: str) -> list[tuple[str, ...]]:
    """The rows of one part."""
    if not DOCUMENT.exists():
        return []
    _, found, rest = DOCUMENT.read_text(encoding="utf-8").partition(f"\n## {part}\n")
    lines = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    return rows[2:] if found else []
