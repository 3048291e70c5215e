"""Extensions that wait for others: order, waiting, and what is said when one fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import ManualClock
from tests.unit.extensions.world import NAME, World, goal, one, package, several
from waagent.core.clock import Stop
from waagent.extensions.codes import Interrupted
from waagent.extensions.plans import Action, Known, plan
from waagent.extensions.sequence import Dependencies, Item, in_order
from waagent.protocol.documents.handlers import Handler, RequestedState, Settings
from waagent.protocol.documents.status import ExtensionStatus

LATER = "B.Later"
LATE = (
    f"Dependent Extension {NAME} did not reach a terminal state within the allowed timeout."
    " Last status was transitioning"
)
STATES = st.sampled_from([RequestedState.ENABLED, RequestedState.DISABLED])
ENTRIES = st.lists(
    st.builds(
        Settings,
        name=st.sampled_from(["one", "two", "three"]),
        sequence_number=st.integers(0, 9),
        state=STATES,
        dependency_level=st.integers(0, 5),
    ),
    max_size=3,
)
HANDLERS = st.lists(
    st.builds(
        Handler,
        name=st.sampled_from(["A.A", "B.B", "C.C", ""]),
        version=st.just("1.0"),
        state=st.sampled_from(list(RequestedState)),
        settings=ENTRIES.map(tuple),
        is_multi_config=st.booleans(),
        invalid_reason=st.one_of(st.none(), st.just("because")),
    ),
    max_size=6,
)


@given(HANDLERS)
def test_plan_covers_every_item_once_in_order_of_levels(handlers: list[Handler]) -> None:
    """Removals first, those that others need last; equal levels as in the document."""
    plans = plan(goal(*handlers), Known())
    keys = [each.item.key for each in plans]
    assert keys == sorted(keys)
    assert len(plans) == sum(max(1, len(handler.settings)) for handler in handlers)
    for handler in handlers:
        for entry in handler.settings:
            removed = not (handler.is_enabled and entry.is_enabled)
            assert (handler.sort_key(entry) < 0) == removed
    highest = max(keys, default=0)
    for each in plans:
        assert each.others_wait == (0 <= each.item.key < highest)


@given(HANDLERS)
def test_plan_of_what_was_done_is_empty_until_a_restart(handlers: list[Handler]) -> None:
    """A new process knows of nothing done."""
    wanted = goal(*handlers)
    assert plan(wanted, Known(done=wanted.identity)) == ()
    assert len(plan(wanted, Known(done="incarnation_0"))) == len(plan(wanted, Known()))


@given(HANDLERS)
def test_plan_executes_no_invalid_handler_and_nothing_that_is_refused(
    handlers: list[Handler],
) -> None:
    """An invalid or unknown one is rejected with its reason."""
    for each in plan(goal(*handlers), Known()):
        handler = each.item.handler
        is_bad = handler.invalid_reason is not None or handler.state is RequestedState.UNKNOWN
        assert (each.action is Action.REJECT) == is_bad
        assert bool(each.why) == is_bad
    refused = plan(goal(*handlers), Known(refusal="may not"))
    assert all(each.action is Action.REFUSE for each in refused)


def test_items_of_one_level_keep_the_order_of_the_document() -> None:
    """The sort is stable."""
    names = [item.handler.name for item in in_order([one(name="Z.Z"), one(name="A.A")])]
    assert names == ["Z.Z", "A.A"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A guest with two handlers in the store."""
    made = World(tmp_path)
    made.store.publish("1.0.0", package())
    made.store.publish("1.0.0", package(), name=LATER)
    return made


def pair() -> tuple[Handler, Handler]:
    """The later one first, as documents have them in any order."""
    return one(name=LATER, level=2), one(level=1)


def test_dependent_extension_runs_after_the_one_it_needs(world: World) -> None:
    """However the document orders them."""
    world.extensions.process(goal(*pair()))
    log = world.home("1.0.0", LATER).command_log(None)
    first = world.home("1.0.0").command_log(None)
    assert first.stat().st_mtime_ns <= log.stat().st_mtime_ns
    assert [r.status for r in world.extensions.statuses(goal(*pair()))] == ["Ready", "Ready"]
    assert world.clock.waits == []


def test_extensions_after_a_failed_one_are_skipped_and_say_so(world: World) -> None:
    """The recorded text, code -1; the failed one is reported as itself."""
    world.store.publish("1.0.0", package(exits={"enable": 5}, status="error"))
    world.extensions.process(goal(*pair()))
    assert world.calls() == ["install 1.0.0 0", "enable 1.0.0 0"]
    later, first = world.extensions.statuses(goal(*pair()))
    text = f"Skipping processing of extensions since execution of dependent extension {NAME} failed"
    assert (later.status, later.code, later.message) == ("NotReady", -1, text)
    assert first.code == 1009
    (event,) = [e for e in world.events("ExtensionProcessing") if not e["OperationSuccess"]]
    assert (event["Name"], event["Message"]) == (NAME, text)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("error", f"Dependent Extension {NAME} did not succeed. Status was error"),
        (
            "transitioning",
            LATE,
        ),
        (
            "",
            LATE,
        ),
    ],
)
def test_extensions_after_one_without_success_are_skipped(
    world: World, status: str, text: str
) -> None:
    """Waiting ends with a terminal status or after ninety minutes for all."""
    world.store.publish("1.0.0", package(status=status))
    world.extensions.process(goal(*pair()))
    assert world.extensions.statuses(goal(*pair()))[0].message == text
    assert sum(world.clock.waits) == (0 if status == "error" else 5400)


def test_waiting_ends_when_the_extension_succeeds(world: World) -> None:
    """It is asked every second: the machine waits for it."""
    world.store.publish("1.0.0", package(status="transitioning"))
    path = world.home("1.0.0").extension_status("0")
    done = json.dumps([{"status": {"status": "success"}}])

    def finish() -> None:
        path.write_text(done)

    world.clock.at(12, finish)
    world.extensions.process(goal(*pair()))
    assert world.calls()[-1] == "enable 1.0.0 0"
    assert [r.status for r in world.extensions.statuses(goal(*pair()))] == ["Ready", "Ready"]
    assert sum(world.clock.waits) == 12


def test_extension_without_settings_is_not_waited_for(world: World) -> None:
    """It has no status that could be success."""
    world.store.publish("1.0.0", package(status=""))
    world.extensions.process(goal(one(settings=()), one(name=LATER, level=1)))
    assert len(world.calls()) == 4
    assert world.clock.waits == []
    home = world.home("1.0.0")
    assert home.settings("0").read_bytes() == b""


def test_skipped_extension_among_several_gets_a_status_file_of_its_own(world: World) -> None:
    """Only where it has none, and the handler's status only where there is none."""
    world.store.publish("1.0.0", package(exits={"install": 1}), name=LATER)
    later = several(Settings("one", 0, dependency_level=1))
    wanted = goal(later, one(name=LATER))
    world.extensions.process(wanted)
    record = world.extensions.statuses(wanted)[0]
    assert (record.status, record.code) == ("NotReady", -1)
    assert record.extension is not None
    assert (record.extension.status, record.extension.operation, record.extension.code) == (
        "error",
        "ExtensionProcessing",
        -1,
    )


def test_waiting_is_left_when_the_agent_is_to_stop() -> None:
    """At once, however long the deadline."""
    stop, clock = Stop(), ManualClock()
    clock.at(7, stop.set)
    status = ExtensionStatus(NAME, None, 0, "transitioning")
    with pytest.raises(Interrupted):
        Dependencies(clock, stop).await_success(Item(one(), one().settings[0]), lambda: status)
    assert clock.waits == [1.0] * 7
    stop.close()
