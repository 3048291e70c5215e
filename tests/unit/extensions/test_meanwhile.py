"""While an extension takes its time somebody says how the machine is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clock import ManualClock
from tests.unit.extensions.world import NAME, World, goal, one, package
from waagent.extensions.meanwhile import SPEAK_EVERY_S, SpeakingClock
from waagent.extensions.stored import StoredStatus, write_stored_status
from waagent.protocol.documents.status import HandlerStatus

OTHER = "Other.Handler"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A guest with a handler that never gets beyond transitioning, and one that needs it."""
    made = World(tmp_path)
    made.store.publish("1.0.0", package(status="transitioning"))
    made.store.publish("1.0.0", package(), name=OTHER)
    made.start(patience_s=600.0)
    return made


def test_waits_speak_once_a_minute_between_begin_and_end() -> None:
    clock, spoken = ManualClock(), []
    speaking = SpeakingClock(clock)
    speaking.wait(None, 100)
    speaking.begin(lambda: spoken.append(clock.monotonic()))
    began = clock.monotonic()
    for _ in range(300):
        speaking.wait(None, 1)
    assert [at - began for at in spoken] == [60, 120, 180, 240]
    speaking.end()
    speaking.wait(None, SPEAK_EVERY_S)
    speaking.wait(None, 1)
    assert len(spoken) == 4


def test_first_word_is_spoken_at_once_when_asked_for() -> None:
    spoken: list[str] = []
    speaking = SpeakingClock(ManualClock())
    speaking.begin(lambda: spoken.append("here"), after_s=0.0)
    speaking.wait(None, 1)
    speaking.wait(None, 1)
    assert spoken == ["here"]


def test_status_is_reported_while_an_extension_is_waited_for(world: World) -> None:
    wanted = goal(one(), one(name=OTHER, level=1))
    said: list[tuple[HandlerStatus, ...]] = []
    world.extensions.process(wanted, lambda: said.append(world.extensions.statuses(wanted)))
    assert len(said) == 9, "once in each of the ten minutes but the last"
    (record,) = said[0]
    assert (record.name, record.status) == (NAME, "Ready")
    assert record.extension is not None
    assert record.extension.status == "transitioning"


def test_failure_of_an_earlier_goal_state_is_not_told_of_the_one_being_carried_out(
    world: World,
) -> None:
    """The control plane would take it for the answer; afterwards what is there is told."""
    wanted = goal(one(), one(name=OTHER, level=1))
    home = world.home("1.0.0", OTHER)
    write_stored_status(home, StoredStatus("NotReady", 1009, "it broke"), is_multi_config=False)
    said: list[tuple[HandlerStatus, ...]] = []
    world.extensions.process(wanted, lambda: said.append(world.extensions.statuses(wanted)))
    (told,) = [record for record in said[0] if record.name == OTHER]
    assert (told.status, told.code) == ("NotReady", 0)
    assert told.message == "The goal state is being carried out"
    (after,) = [r for r in world.extensions.statuses(wanted) if r.name == OTHER]
    assert after.code == -1, "skipped, as the one before it did not come to its end"


def test_handler_of_which_nothing_is_known_yet_is_no_reason_to_complain_meanwhile(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = goal(one(), one(name=OTHER, level=1))
    said: list[tuple[HandlerStatus, ...]] = []
    world.extensions.process(wanted, lambda: said.append(world.extensions.statuses(wanted)))
    assert said
    assert "No handler status found" not in caplog.text
