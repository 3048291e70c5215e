"""The folder of waiting events: bounded, shared by processes, nothing half-written or unseen."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.clock import ManualClock
from waagent.core.spool import LIMIT, Spool


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_folder_is_made_for_root_alone(tmp_path: Path) -> None:
    """Events may tell what a machine is for."""
    Spool(tmp_path / "events", ManualClock()).write({"a": 1})
    assert (tmp_path / "events").stat().st_mode & 0o777 == 0o700


def test_events_of_one_microsecond_do_not_overwrite_each_other(tmp_path: Path) -> None:
    """Neither in a process nor between two."""
    clock = ManualClock()
    for spool in (Spool(tmp_path, clock), Spool(tmp_path, clock)):
        spool.write({"a": 1})
        spool.write({"a": 2})
    documents = [json.loads((tmp_path / name).read_text()) for name in names(tmp_path)]
    assert documents == [{"a": 1}, {"a": 2}, {"a": 1}, {"a": 2}]


def test_partial_file_of_another_process_is_left_alone(tmp_path: Path) -> None:
    """It is being written this moment."""
    partial = tmp_path / "1769854272000000.tmp"
    partial.write_text("half", encoding="utf-8")
    Spool(tmp_path, ManualClock()).write({})
    assert names(tmp_path) == ["1769854272000000.tmp", "1769854272000001.waagent.tld"]
    assert partial.read_text(encoding="utf-8") == "half"


def test_names_grow_when_the_wall_clock_goes_back(tmp_path: Path) -> None:
    """The order of events is their names'."""
    clock = ManualClock()
    spool = Spool(tmp_path, clock)
    spool.write({"a": 1})
    clock.set_wall_time(clock.now().replace(year=2020))
    spool.write({"a": 2})
    assert [json.loads((tmp_path / name).read_text())["a"] for name in names(tmp_path)] == [1, 2]


def test_oldest_events_make_room_and_are_counted_as_lost(tmp_path: Path) -> None:
    """A thousand files, the newest among them."""
    for number in range(LIMIT + 2):
        (tmp_path / f"{number:016}.waagent.tld").write_text("{}", encoding="utf-8")
    spool = Spool(tmp_path, ManualClock())
    spool.write({"a": 1})
    left = names(tmp_path)
    assert len(left) == LIMIT
    assert left[0] == f"{3:016}.waagent.tld"
    assert left[-1] == "1769854272000000.waagent.tld"
    assert spool.take_lost() == 3


def test_room_is_made_without_counting_what_is_no_event(tmp_path: Path) -> None:
    """Leftovers of a crash are no loss."""
    for number in range(LIMIT):
        (tmp_path / f"{number:016}.tmp").write_text("", encoding="utf-8")
    spool = Spool(tmp_path, ManualClock())
    spool.write({})
    assert len(names(tmp_path)) == LIMIT
    assert spool.lost == 0


def test_folder_in_the_spool_does_not_keep_events_from_being_written(tmp_path: Path) -> None:
    """Somebody's mistake must not silence the agent."""
    (tmp_path / "0").mkdir()
    for number in range(LIMIT):
        (tmp_path / f"1{number:015}.waagent.tld").write_text("{}", encoding="utf-8")
    Spool(tmp_path, ManualClock()).write({})
    assert "1769854272000000.waagent.tld" in names(tmp_path)
