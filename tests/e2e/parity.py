"""docs/parity.md as a test reads it: what may differ from the recordings, and what really does.

A cell may hold several patterns, apart by a comma and a blank; `*` stands for anything. A row that
fits nothing no longer applies.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from tests.fabric.golden import Difference

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/parity.md"


class Row(NamedTuple):
    """One row of a table: cells of patterns, then the reason."""

    cells: tuple[str, ...]
    reason: str

    def covers(self, finding: Iterable[str]) -> bool:
        """Whether each cell has a pattern for its part of a difference."""
        return all(
            any(fnmatchcase(value, _literal(pattern)) for pattern in cell.split(", "))
            for cell, value in zip(self.cells, finding)
        )


def _literal(pattern: str) -> str:
    """Only the asterisk is a pattern; brackets stand in the names of fields."""
    return pattern.strip("`").replace("[", "[[]").replace("?", "[?]")


def read_rows(heading: str) -> list[Row]:
    """The table under a heading of the second or third level."""
    text = DOCUMENT.read_text(encoding="utf-8")
    section = text.split(f"# {heading}\n", 1)[1].split("\n#", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    found = []
    for line in rows[2:]:
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        found.append(Row(tuple(cells[:-1]), cells[-1]))
    assert found, f"there is no table under {heading!r}"
    return found


def judge(findings: Iterable[tuple[str, ...]], rows: Iterable[Row]) -> list[tuple[str, ...]]:
    """The differences for which there is no row."""
    known = list(rows)
    return [found for found in findings if not any(row.covers(found) for row in known)]


def idle_rows(findings: Iterable[tuple[str, ...]], rows: Iterable[Row]) -> list[Row]:
    """The rows that no longer apply, or give no reason."""
    seen = list(findings)
    return [row for row in rows if not row.reason or not any(row.covers(found) for found in seen)]


def as_findings(recording: str, differences: Iterable[Difference]) -> list[tuple[str, ...]]:
    """Differences on the wire, with the recording in which they are."""
    return [(recording, *difference) for difference in sorted(differences)]
