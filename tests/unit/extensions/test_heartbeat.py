"""Heartbeats of handlers that report one (spec EXT 4.4)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Optional

import pytest

from tests.unit.extensions.world import World, goal, one, package
from waagent.extensions.gather import Reported, gather
from waagent.extensions.status import Patience

WANTED = goal(one())


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A guest with an enabled handler that reports a heartbeat."""
    made = World(tmp_path)
    made.store.publish("1.0.0", package(reportHeartbeat=True))
    made.extensions.process(WANTED)
    return made


def beat(world: World, document: Any, age_s: float = 1) -> None:
    """Write a heartbeat of some age."""
    path = world.home("1.0.0").heartbeat
    path.write_text(json.dumps(document))
    moment = world.clock.now().timestamp() - age_s
    os.utime(path, (moment, moment))


def reported(world: World) -> tuple[str, int, Optional[str]]:
    """Status, code and message of the handler."""
    (record,) = world.extensions.statuses(WANTED)
    return record.status, record.code, record.message


def heartbeat(status: str, text: Optional[str] = None) -> list[dict[str, Any]]:
    """A heartbeat document."""
    formatted = {"formattedMessage": {"lang": "en-US", "message": text}} if text else {}
    return [{"version": "1.0", "heartbeat": {"status": status, "code": 7, **formatted}}]


def test_heartbeat_gives_status_word_and_message_but_not_its_code(world: World) -> None:
    """The word is passed on as it is written."""
    beat(world, heartbeat("ready", "alive"))
    assert reported(world) == ("ready", 0, "alive")
    beat(world, heartbeat("NotReady"))
    assert reported(world) == ("NotReady", 0, "Plugin enabled")


def test_old_heartbeat_means_unresponsive(world: World) -> None:
    """After ten minutes; the message stays."""
    beat(world, heartbeat("ready", "alive"), age_s=601)
    assert reported(world) == ("Unresponsive", 0, "Plugin enabled")


def test_missing_heartbeat_shows_from_the_next_report_on(world: World) -> None:
    """It is stored, as the reference does (EXT App. E 7)."""
    assert reported(world) == ("Ready", 0, "Plugin enabled")
    assert reported(world) == ("NotReady", -1, "[ExtensionError] Failed to get heart beat file")


@pytest.mark.parametrize("document", [None, [], {}, [{}], [{"heartbeat": {"code": 1}}], [7], "x"])
def test_malformed_heartbeat_is_stored_as_such(world: World, document: Any) -> None:
    """Nothing else happens."""
    beat(world, document)
    assert reported(world)[0] == "Ready"
    status, code, message = reported(world)
    assert (status, code) == ("NotReady", -1)
    assert (message or "").startswith("[ExtensionError] Malformed heartbeat file: ")


def test_heartbeat_that_stays_away_is_stored_once(world: World) -> None:
    """An idle machine leaves the disk alone."""
    reported(world)
    stored = world.home("1.0.0").stored_status
    before = stored.stat()
    assert reported(world)[0] == "NotReady"
    after = stored.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_heartbeat_of_a_refused_handler_is_only_added_to_the_message(world: World) -> None:
    """Its status word stays."""
    beat(world, heartbeat("ready", "alive"))
    subject = Reported(one(), world.home("1.0.0"), is_disallowed=True)
    (record,) = gather(subject, Patience(world.clock))
    assert record.status == "Ready"
    assert record.message == (
        "Plugin enabled Extension was previously enabled and reported the following heartbeat:\n"
        "alive"
    )
