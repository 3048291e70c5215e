"""The memory of status reports: only a change is news, also after a restart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from waagent.core.event_status import LIMIT, StatusTransitions


def test_first_outcome_and_every_change_is_news(tmp_path: Path) -> None:
    """For each name and version."""
    transitions = StatusTransitions(tmp_path / "event_status.json")
    outcomes = [True, True, False, False, True]
    news = [transitions.changed("A", "1", success=success) for success in outcomes]
    assert news == [True, False, True, False, True]
    assert transitions.changed("A", "2", success=True)


def test_file_is_what_the_reference_writes(tmp_path: Path) -> None:
    """So that an up- or downgrade repeats nothing."""
    path = tmp_path / "event_status.json"
    StatusTransitions(path).changed("A", "1", success=False)
    assert json.loads(path.read_text(encoding="utf-8")) == {"A-1-ReportStatus": False}
    assert not StatusTransitions(path).changed("A", "1", success=False)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"A-1-ReportStatus": "yes"}', "[" * 9999])
def test_file_that_is_not_ours_counts_as_empty(tmp_path: Path, content: str) -> None:
    """And is written anew."""
    path = tmp_path / "event_status.json"
    path.write_text(content, encoding="utf-8")
    assert StatusTransitions(path).changed("A", "1", success=True)
    assert json.loads(path.read_text(encoding="utf-8")) == {"A-1-ReportStatus": True}


def test_memory_that_cannot_be_written_still_works(tmp_path: Path) -> None:
    """For the life of the process."""
    transitions = StatusTransitions(tmp_path / "no folder" / "event_status.json")
    assert [transitions.changed("A", "1", success=True) for _ in range(2)] == [True, False]


def test_memory_is_bounded() -> None:
    """Handlers come and go."""
    transitions = StatusTransitions(None)
    for number in range(LIMIT + 1):
        transitions.changed("A", str(number), success=True)
    assert transitions.changed("A", "0", success=True)
    assert not transitions.changed("A", str(LIMIT), success=True)
