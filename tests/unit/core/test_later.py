"""When another attempt is worth it: after pauses that double, or once a disk has more room."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tests.support.clock import ManualClock
from waagent.core.later import Later
from waagent.core.room import FIRST_PAUSE_S, LONGEST_PAUSE_S, Room


def is_due(later: Later) -> bool:
    return later.is_due


def may_have_come(room: Room) -> bool:
    return room.may_have_come


def test_pauses_double_up_to_a_bound_and_are_short_again_after_a_success() -> None:
    clock = ManualClock()
    later = Later(clock, first_s=60, most_s=200)
    assert is_due(later)
    for pause in (60, 120, 200, 200):
        later.postpone()
        clock.advance(pause - 1)
        assert not is_due(later)
        clock.advance(1)
        assert is_due(later)
    later.postpone()
    later.reset()
    assert later.is_due
    later.postpone()
    clock.advance(60)
    assert later.is_due


def test_room_is_tried_again_after_a_while_though_none_was_seen(tmp_path: Path) -> None:
    clock = ManualClock()
    room = Room(tmp_path / "not there", clock)
    room.refused()
    assert not may_have_come(room)
    clock.advance(FIRST_PAUSE_S)
    assert may_have_come(room)
    for _ in range(10):
        room.refused()
    clock.advance(LONGEST_PAUSE_S - 1)
    assert not may_have_come(room)
    clock.advance(1)
    assert may_have_come(room)


def test_room_is_seen_when_a_large_file_goes() -> None:
    """In memory: on a disk others write, and room comes when the kernel gets to it."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        filler = Path(folder, "filler")
        with filler.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, 16 << 20)
        room = Room(Path(folder), ManualClock())
        room.refused()
        filler.unlink()
        assert room.may_have_come
