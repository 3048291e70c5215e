"""The child as a process: where it finds the fabric, how it ends, what it leaves for the next."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.fabric import Fabric
from tests.support.agent import ENDPOINT, RootedAgent
from tests.support.child_process import leave_endpoint
from waagent.core import signals
from waagent.core.clock import SystemClock
from waagent.core.events import Op
from waagent.exthandlers.main import run
from waagent.guest.profiles import profile_of
from waagent.guest.release import Release, read_release


@pytest.fixture
def machine(plain_fabric: Fabric, tmp_path: Path) -> RootedAgent:
    """A machine whose daemon has found the fabric; nothing runs yet."""
    agent = RootedAgent(tmp_path, plain_fabric, clock=SystemClock())
    leave_endpoint(agent)
    return agent


@contextlib.contextmanager
def signals_kept() -> Iterator[None]:
    """Whoever handled signals before handles them again; the thread has its name again."""
    before = {number: signal.getsignal(number) for number in signals.TERMINATION}
    name = threading.current_thread().name
    try:
        yield
    finally:
        threading.current_thread().name = name
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)


def run_until_reported(machine: RootedAgent, *, checks_parent: bool = False) -> int:
    """Run the process until the fabric has a status, then have it end; its exit code."""

    def stop() -> None:
        machine.fabric.await_status(since=len(machine.statuses), within_s=20)
        machine.context.stop.set()

    release = read_release(machine.system)
    stopper = threading.Thread(target=stop)
    if not checks_parent:
        stopper.start()
    with signals_kept():
        code = run(machine.context, release, profile_of(release), checks_parent=checks_parent)
    if not checks_parent:
        stopper.join()
    return code


def only_event(machine: RootedAgent, op: Op) -> dict[str, Any]:
    """The event of an operation, in the spool or already at the fabric: threads were at work."""
    sent = [e["params"] for e in machine.fabric.world.received.events]
    sent = [parameters for parameters in sent if parameters.get("Operation") == op.value]
    found: dict[str, Any]
    (found,) = machine.events(op) + sent
    return found


def test_process_ends_with_zero_and_takes_its_note_away(machine: RootedAgent) -> None:
    machine.paths.crash_note.write_text("[WALinuxAgent-2.15.1.0] [it broke]")
    assert run_until_reported(machine) == 0
    assert not machine.paths.crash_note.exists()
    told = only_event(machine, Op.RESTART)
    assert str(told["OperationSuccess"]) == "False"
    assert told["Message"] == (
        "Agent did not terminate cleanly: [WALinuxAgent-2.15.1.0] [it broke]"
    )
    assert machine.requests("wire.versions") == 0, "the daemon has done that"
    assert not [t for t in threading.enumerate() if t.name.endswith("Handler")]


def test_defect_ends_the_process_with_one_and_a_note_for_the_next(machine: RootedAgent) -> None:
    release = read_release(machine.system)
    with signals_kept():
        code = run(machine.context, cast(Release, None), profile_of(release), checks_parent=False)
    assert code == 1
    note = machine.paths.crash_note.read_text()
    assert note.startswith("[WALinuxAgent-")
    assert "AttributeError" in note


def test_orphan_ends_before_it_does_anything(machine: RootedAgent) -> None:
    machine.paths.pid_file.write_text("1")
    assert run_until_reported(machine, checks_parent=True) == 0
    assert machine.statuses == []


def test_orphan_ends_also_while_it_waits_for_its_first_goal_state(
    plain_fabric: Fabric, tmp_path: Path
) -> None:
    plain_fabric.fault("wire.goalstate", "NOT_FOUND")
    conf = "Extensions.GoalStatePeriod=1\n"
    machine = RootedAgent(tmp_path, plain_fabric, conf=conf, clock=SystemClock())
    leave_endpoint(machine)
    machine.paths.pid_file.write_text("1")
    assert run_until_reported(machine, checks_parent=True) == 0
    assert machine.requests("wire.goalstate") == 1


def test_secrets_are_for_reading_only_after_a_start(machine: RootedAgent) -> None:
    machine.lib("ovf-env.xml").write_text("<ovf/>")
    machine.lib("ovf-env.xml").chmod(0o644)
    run_until_reported(machine)
    for path in (machine.lib("ovf-env.xml"), machine.paths.transport_private):
        assert path.stat().st_mode & 0o777 == 0o400


def test_other_address_of_the_fabric_is_told(machine: RootedAgent) -> None:
    book = {**machine.fabric.address_book}
    for port in ("80", "32526"):
        book[f"10.0.0.9:{port}"] = machine.fabric.address_book[f"{ENDPOINT}:{port}"]
    machine.fabric.address_book = book
    moved = RootedAgent(machine.root, machine.fabric, clock=SystemClock())
    moved.paths.endpoint.write_text("10.0.0.9")
    assert run_until_reported(moved) == 0
    told = only_event(moved, Op.PROTOCOL_ENDPOINT)
    assert "10.0.0.9" in told["Message"]
