"""The child's loop: what it says of failures, when goal states count as done, how it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.fabric import ECHO, Fabric, Vm, echo_extension
from tests.support.agent import RootedAgent
from waagent.core import signals
from waagent.core.clock import SystemClock
from waagent.core.events import Op

DONE = "All extensions in the goal state have reached a terminal state: "


def failures(agent: RootedAgent) -> list[str]:
    """What was sent of failing refreshes."""
    found = agent.events(Op.FETCH_GOAL_STATE)
    return [event["Message"] for event in found if not event["OperationSuccess"]]


def test_failing_refresh_is_told_three_times_then_once_in_six_hours(plain: RootedAgent) -> None:
    plain.fabric.fault("wire.goalstate", "NOT_FOUND")
    for _ in range(3):
        plain.new_status()
    assert [text.split(":")[0] for text in failures(plain)] == ["Error fetching the goal state"] * 3
    plain.turn(5)
    still = "Fetching the goal state is still failing"
    assert [text.split(":")[0] for text in failures(plain)[3:]] == [still]
    plain.let_pass(6 * 3600)
    plain.turn(2)
    assert [text.split(":")[0] for text in failures(plain)[3:]] == [still] * 2
    assert plain.process.loop.failures_since_heartbeat == 10


def test_recovery_is_told_and_the_next_failure_is_loud_again(plain: RootedAgent) -> None:
    plain.fabric.fault("wire.goalstate", "NOT_FOUND", 5)
    plain.turn(6)
    (recovered,) = (e for e in plain.events(Op.FETCH_GOAL_STATE) if e["OperationSuccess"])
    assert "incarnation_1" in recovered["Message"]
    plain.fabric.fault("wire.goalstate", "NOT_FOUND", 4)
    plain.turn(4)
    assert len(failures(plain)) == 4 + 4, "the fourth at once, whatever was before"


def test_first_goal_state_is_waited_for(plain_fabric: Fabric, tmp_path: Path) -> None:
    plain_fabric.fault("wire.goalstate", "NOT_FOUND", 3)
    agent = RootedAgent(tmp_path, plain_fabric).start()
    assert agent.waits == [6.0] * 3
    agent.new_status()


def test_waiting_for_the_first_goal_state_ends_when_told_to_stop(
    plain_fabric: Fabric, tmp_path: Path
) -> None:
    plain_fabric.fault("wire.goalstate", "NOT_FOUND")
    agent = RootedAgent(tmp_path, plain_fabric)
    agent.manual.at(20, agent.context.stop.set)
    with pytest.raises(AssertionError, match="told to stop"):
        agent.start(fresh=False)


def test_initial_goal_state_has_its_own_period_until_all_is_done(tmp_path: Path) -> None:
    with Fabric(Vm(has_certificates=False)) as fabric:
        slow = replace(echo_extension(secret=None).settings[0], public={"status": "transitioning"})
        fabric.portal.put_extension(replace(echo_extension(), settings=(slow,)))
        agent = RootedAgent(tmp_path, fabric, conf="Extensions.InitialGoalStatePeriod=2\n").start()
        agent.turn(2)
        assert agent.process.loop.period_s() == 2
        assert not agent.paths.initial_goal_state.exists()
        said = [event["Message"] for event in agent.events(Op.GOAL_STATE)]
        assert f"Extension status: [('{ECHO}', 'transitioning')]" in said
        status = agent.handler(ECHO) / "status" / "0.status"
        status.write_text(status.read_text().replace("transitioning", "success"))
        agent.turn(2)
        assert agent.process.loop.period_s() == 6
        assert agent.paths.initial_goal_state.read_text() == f"[('{ECHO}', 'success')]"
        said = [event["Message"] for event in agent.events(Op.GOAL_STATE)]
        assert said.count(f"{DONE}[('{ECHO}', 'success')]") == 1


def test_new_goal_state_ends_the_initial_one_although_not_all_was_done(tmp_path: Path) -> None:
    with Fabric(Vm(has_certificates=False)) as fabric:
        slow = replace(echo_extension(secret=None).settings[0], public={"status": "transitioning"})
        fabric.portal.put_extension(replace(echo_extension(), settings=(slow,)))
        agent = RootedAgent(tmp_path, fabric).start()
        agent.turn()
        fabric.portal.update_settings(ECHO, {"status": "transitioning"})
        agent.turn()
        assert agent.paths.initial_goal_state.exists()
        warnings = [e for e in agent.events(Op.GOAL_STATE) if not e["OperationSuccess"]]
        assert f"[('{ECHO}', 'transitioning')]" in warnings[0]["Message"]


def test_unwritable_mark_of_the_initial_goal_state_stops_nothing(plain: RootedAgent) -> None:
    plain.paths.initial_goal_state.unlink()
    plain.paths.initial_goal_state.symlink_to(plain.lib("missing") / "deeper")
    plain.fabric.portal.put_extension(echo_extension(secret=None))
    plain.new_status()
    assert plain.extension(ECHO)[0] == "success"


def test_restart_enables_again_with_the_same_sequence_number(agent: RootedAgent) -> None:
    calls = agent.lib("../../log/extension-calls.txt")
    assert calls.read_text().count("== enable ") == 1
    assert calls.read_text().count("== install ") == 1
    agent.turn(2)
    assert calls.read_text().count("== enable ") == 1
    agent.start().turn()
    assert calls.read_text().count("== enable ") == 2
    assert calls.read_text().count("== install ") == 1
    assert agent.item(ECHO)["runtimeSettingsStatus"]["sequenceNumber"] == 0


def test_unknown_required_feature_is_refused_and_what_is_there_is_reported(
    agent: RootedAgent,
) -> None:
    agent.fabric.portal.set_goal(
        lambda goal: replace(
            goal,
            required_features=("MultipleExtensionsPerHandler", "Telepathy"),
            extensions=(echo_extension("Fabric.Test.Unseen"),),
        )
    )
    since = agent.now
    agent.turn()
    goal = agent.status["aggregateStatus"]["vmArtifactsAggregateStatus"]["goalStateAggregateStatus"]
    assert (goal["status"], goal["code"]) == ("Failed", 2001)
    number = agent.fabric.vm.incarnation
    assert goal["formattedMessage"]["message"] == (
        f"Failing GS incarnation_{number} as Unsupported features found: Telepathy"
    )
    assert agent.requests("storage.manifests", since) == 0
    assert agent.item(ECHO)["status"] == "Ready"
    assert agent.handler(ECHO).is_dir(), "nothing is an orphan of a goal state that is refused"
    agent.fabric.portal.set_goal(lambda goal: replace(goal, required_features=()))
    agent.turn()
    assert agent.extension("Fabric.Test.Unseen")[0] == "success"
    assert not agent.handler(ECHO).exists()


def test_extensions_that_are_switched_off_are_refused_and_looked_at_less(tmp_path: Path) -> None:
    with Fabric(Vm(has_certificates=False)) as fabric:
        fabric.portal.put_extension(echo_extension(secret=None))
        agent = RootedAgent(tmp_path, fabric, conf="Extensions.Enabled=n\n").start()
        agent.turn()
        assert agent.process.loop.period_s() == 300
        item = agent.item(ECHO)
        assert (item["status"], item["code"]) == ("NotReady", 1009)
        assert agent.extension(ECHO)[:2] == ("error", 1009)


def test_report_goes_out_in_every_turn(plain: RootedAgent) -> None:
    moments = [plain.status["timestampUTC"]]
    for _ in range(3):
        moments.append(plain.new_status()["timestampUTC"])
    assert len(set(moments)) == 4


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_sigterm_ends_the_child_within_two_seconds_and_leaves_no_thread(
    fabric: Fabric, tmp_path: Path
) -> None:
    fabric.portal.update_settings(ECHO, {"pause": 30})
    before = set(threading.enumerate())
    process = RootedAgent(tmp_path, fabric, clock=SystemClock()).start().process
    told: list[float] = []

    def tell() -> None:
        calls = tmp_path / "var" / "log" / "extension-calls.txt"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if calls.exists() and "== enable" in calls.read_text():
                break
            SystemClock().wait(None, 0.02)
        told.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGTERM)

    handlers = {number: signal.getsignal(number) for number in signals.TERMINATION}
    signals.stop_on(process.context.stop)
    teller = threading.Thread(target=tell)
    teller.start()
    try:
        process.run()
        took_s = time.monotonic() - told[0]
    finally:
        teller.join()
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()  # the extension's command: it outlives us, as it does a service's stop
        signal.set_wakeup_fd(-1)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert took_s < 2
    ours = [t for t in set(threading.enumerate()) - before if not _is_fabrics(t)]
    assert ours == []
    assert fabric.world.received.statuses == [], "what was not finished is not reported as done"


def _is_fabrics(thread: threading.Thread) -> bool:
    return "process_request_thread" in thread.name or "serve_forever" in thread.name
