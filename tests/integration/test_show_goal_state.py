"""``-show-goal-state``: what a running agent believes, while it works, waits, fails and is gone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.fabric import ECHO, Fabric, Vm, echo_extension
from tests.fabric.model import FAST_TRACK_ON, Extension, JitUser
from tests.support.agent import RootedAgent
from tests.support.child_process import leave_endpoint, start_child
from tests.support.proc import show_process
from waagent.cli.show_goal_state import FAILED, NOT_RUNNING, SHOWN, Shown, show
from waagent.core import files
from waagent.core.clock import SystemClock

PROJECT = Path(__file__).resolve().parents[2]
SECOND = "Fabric.Test.Second"


@pytest.fixture
def machine(fabric: Fabric, tmp_path: Path) -> RootedAgent:
    """The agent of a machine with an extension, and this very process in its /proc; no turn yet."""
    show_process(tmp_path, os.getpid())
    return RootedAgent(tmp_path, fabric).start()


def told(agent: RootedAgent) -> dict[str, Any]:
    """The JSON of it."""
    shown = show(agent.system, as_json=True)
    assert (shown.code, shown.complaint) == (SHOWN, "")
    document = json.loads(shown.output)
    assert isinstance(document, dict)
    return document


def text(agent: RootedAgent) -> str:
    """What a person reads."""
    return show(agent.system, as_json=False).output


def leveled(extension: Extension, level: int, **settings: Any) -> Extension:
    """The extension at a level of the order, with settings."""
    (entry,) = extension.settings
    public = {**entry.public, **settings}
    return replace(extension, settings=(replace(entry, level=level, public=public),))


def test_turn_leaves_what_is_believed_in_one_file_for_root_alone(machine: RootedAgent) -> None:
    machine.turn()
    found = told(machine)
    path = machine.paths.belief
    assert path == machine.root / "run/waagent/goal-state.json"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(path.parent.iterdir()) == [path]
    goal = found["goal_state"]
    assert (goal["id"], goal["source"], goal["channel"]) == (
        "incarnation_1",
        "Fabric",
        "WireServer",
    )
    assert (goal["outcome"]["status"], goal["outcome"]["sequence"]) == ("Success", "1")
    assert found["goal_state_fetch"]["failures_in_a_row"] == 0
    assert found["status_upload"]["way"] == "through the host"
    assert found["status_upload"]["size"] > 1000
    (row,) = found["extensions"]
    assert (row["name"], row["version"], row["wanted"], row["state"]) == (
        ECHO, "1.0.0", "enabled", "Enabled",
    )  # fmt: skip
    assert (row["status"], row["sequence"], row["status_sequence"]) == ("success", 0, 0)
    assert len(found["certificates"]) == 2
    assert found["doing"] == []


def test_start_that_gets_no_goal_state_says_why(plain_fabric: Fabric, tmp_path: Path) -> None:
    show_process(tmp_path, os.getpid())
    plain_fabric.fault("wire.goalstate", "NOT_FOUND")
    agent = RootedAgent(tmp_path, plain_fabric)

    def look() -> None:
        found = told(agent)
        assert found["goal_state"] is None
        assert found["goal_state_fetch"]["failures_in_a_row"] == 2
        assert "404" in found["goal_state_fetch"]["last_error"]
        assert "failed 2 times in a row since" in text(agent)
        assert "never in this process" in text(agent)
        agent.context.stop.set()

    agent.manual.at(8, look)
    with pytest.raises(AssertionError, match="told to stop before there was a goal state"):
        agent.start(fresh=False)
    assert agent.context.stop.is_set(), "it was looked at"
    assert "it was told to stop and ended at" in text(agent)


def test_dependency_that_is_waited_for_is_named_with_its_time(
    fabric: Fabric, tmp_path: Path
) -> None:
    show_process(tmp_path, os.getpid())
    slow = leveled(echo_extension(), 1, status="transitioning")
    fabric.portal.set_goal(
        lambda goal: replace(goal, extensions=(slow, leveled(echo_extension(SECOND), 2)))
    )
    agent = RootedAgent(tmp_path, fabric).start()
    seen: list[str] = []
    agent.manual.at(260, lambda: seen.append(text(agent)))
    agent.turn()
    (said,) = seen
    line = next(each for each in said.splitlines() if each.startswith("Now "))
    assert f"wait for extension {ECHO}, level 1, which others depend on, since " in line
    assert line.endswith(", 4:20 of 90:00")
    assert "to carry out goal state incarnation_" in said
    assert f"{SECOND} 1.0.0: enabled wanted, NotInstalled here, sequence 0, level 2" in said
    rows = {row["name"]: row for row in told(agent)["extensions"]}
    assert rows[ECHO]["state"] == "Enabled"
    assert rows[SECOND]["handler_status"] == "NotReady"


def test_failed_extension_is_shown_with_its_message_without_secrets(machine: RootedAgent) -> None:
    machine.fabric.portal.update_settings(
        ECHO, {"exit": 5, "echo": "https://a.b/c?sv=1&sig=SECRETSIGNATURE and more"}
    )
    machine.turn()
    (row,) = told(machine)["extensions"]
    assert (row["handler_status"], row["handler_code"]) == ("NotReady", 1009)
    assert "Non-zero exit code: 5" in row["handler_message"]
    assert (row["status"], row["code"]) == ("error", 12)
    assert "https://a.b/c?<redacted>" in row["message"]
    assert b"SECRETSIGNATURE" not in machine.paths.belief.read_bytes()
    assert "SECRETSIGNATURE" not in text(machine)


def test_fast_track_is_named_as_the_source(plain_fabric: Fabric, tmp_path: Path) -> None:
    show_process(tmp_path, os.getpid())
    plain_fabric.platform.set_fast_track(FAST_TRACK_ON)
    plain_fabric.portal.put_extension(echo_extension(secret=None))
    agent = RootedAgent(tmp_path, plain_fabric).start()
    agent.turn()
    goal = told(agent)["goal_state"]
    assert (goal["source"], goal["channel"]) == ("FastTrack", "HostGAPlugin")
    assert goal["outcome"]["sequence"] == plain_fabric.vm.fast_goal.in_svd_seq_no
    assert "FastTrack by HostGAPlugin" in text(agent)


def test_outage_shows_since_when_and_when_it_was_good_last(machine: RootedAgent) -> None:
    machine.turn()
    before = told(machine)
    for endpoint in ("wire.goalstate", "hgap.status", "storage.system"):
        machine.fabric.fault(endpoint, "NOT_FOUND")
    machine.turn(3)
    found = told(machine)
    for part in ("goal_state_fetch", "status_upload"):
        assert found[part]["last_success"] == before[part]["last_success"]
        assert found[part]["failures_in_a_row"] == 3
        assert found[part]["failing_since"] > before[part]["last_success"]
    assert "Failed to upload status blob via either channel" in found["status_upload"]["last_error"]
    assert found["goal_state"] == before["goal_state"], "the last good one stays in force"
    machine.fabric.clear_faults("wire.goalstate")
    machine.turn()
    assert told(machine)["goal_state_fetch"]["failures_in_a_row"] == 0


def test_upload_that_goes_direct_is_told_so(machine: RootedAgent) -> None:
    machine.fabric.fault("hgap.status", "NOT_FOUND")
    machine.turn()
    assert told(machine)["status_upload"]["way"] == "direct"


def test_file_that_cannot_be_written_is_told_once_and_stops_nothing(
    machine: RootedAgent, caplog: pytest.LogCaptureFixture
) -> None:
    folder = machine.paths.belief.parent
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.write_text("a file in its place")
    machine.new_status()
    machine.new_status()
    said = [line for line in caplog.messages if line.startswith("Cannot keep ")]
    assert len(said) == 1
    assert f'"{folder}" is a file; remove it' in said[0]
    folder.unlink()
    machine.turn()
    assert told(machine)["running"] is True


def test_start_takes_away_what_a_killed_one_left_half_written(machine: RootedAgent) -> None:
    left = machine.paths.belief.with_name(files.name_beside(machine.paths.belief.name))
    left.write_text("half")
    machine.start(fresh=False)
    assert not left.exists()


@pytest.fixture
def child(fabric: Fabric, tmp_path: Path) -> Iterator[tuple[RootedAgent, subprocess.Popen[bytes]]]:
    """The child as a process, at work on an extension whose enable takes long."""
    fabric.portal.update_settings(ECHO, {"pause": 60})
    machine = RootedAgent(tmp_path, fabric, clock=SystemClock())
    leave_endpoint(machine)
    calls = tmp_path / "var/log/extension-calls.txt"
    process = start_child(tmp_path, fabric.address_book, output=subprocess.DEVNULL, errors=None)
    try:
        for _ in range(600):
            if calls.exists() and "== enable" in calls.read_text():
                break
            SystemClock().wait(None, 0.05)
        yield machine, process
    finally:
        if process.poll() is None:
            kill_with_commands(process)


def kill_with_commands(process: subprocess.Popen[bytes]) -> None:
    """Kill the child, and what it had started: that would go on."""
    commands = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for one in commands:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()


def test_command_that_runs_is_shown_and_so_is_that_the_agent_was_killed_with_it(
    child: tuple[RootedAgent, subprocess.Popen[bytes]],
) -> None:
    machine, process = child
    found = told(machine)
    assert found["running"] is True
    assert found["agent"]["pid"] == process.pid
    outer, inner = found["doing"]
    assert outer["what"].startswith("carry out goal state incarnation_")
    assert (inner["what"], inner["limit_s"]) == (f"run enable of {ECHO}-1.0.0", 300)
    assert 0 <= found["doing_seconds"][1] < 60
    (row,) = found["extensions"]
    assert (row["state"], row["handler_status"]) == ("Installed", None)
    kill_with_commands(process)
    show_process(machine.root, process.pid)
    shown: Shown = show(machine.system, as_json=False)
    assert shown.code == NOT_RUNNING
    assert shown.complaint.startswith("The agent is not running: this is what it believed at 20")
    assert "it was killed or it crashed after" in shown.output
    assert f"run enable of {ECHO}-1.0.0" in shown.output
    assert json.loads(show(machine.system, as_json=True).output)["running"] is False


def test_child_that_is_told_to_stop_says_that_it_ended(
    plain_fabric: Fabric, tmp_path: Path
) -> None:
    machine = RootedAgent(tmp_path, plain_fabric, clock=SystemClock())
    show_process(tmp_path, os.getpid())
    process = machine.start(fresh=False).process
    machine.context.stop.set()
    process.run()
    shown = show(machine.system, as_json=False)
    assert shown.code == NOT_RUNNING
    assert "it was told to stop and ended at" in shown.output


def test_machine_without_a_running_agent_says_what_to_do(tmp_path: Path) -> None:
    with Fabric(Vm(has_certificates=False)) as fabric:
        agent = RootedAgent(tmp_path, fabric)
        shown = show(agent.system, as_json=False)
    assert (shown.code, shown.output) == (FAILED, "")
    assert shown.complaint.startswith("cannot show the goal state: there is no /run/waagent/")
    assert "systemctl status walinuxagent" in shown.complaint


@contextlib.contextmanager
def as_somebody_else() -> Iterator[None]:
    """The system calls of the block are not root's."""
    ours = os.geteuid()
    os.seteuid(65534 if ours == 0 else ours)
    try:
        yield
    finally:
        os.seteuid(ours)


def test_others_than_root_are_told_to_be_root(machine: RootedAgent) -> None:
    folder = machine.paths.belief.parent
    folder.chmod(0o700 if os.geteuid() == 0 else 0)
    with as_somebody_else():
        shown = show(machine.system, as_json=True)
    folder.chmod(0o700)
    assert shown == (FAILED, "", "cannot show the goal state: only root may look at it: use sudo\n")


@pytest.mark.parametrize(
    "damage", ["", "[]", "{}", '{"agent": {"pid": 1}}', '{"agent": {"pid": "x"}}']
)
def test_file_that_cannot_be_understood_ends_with_one_and_says_so(
    machine: RootedAgent, damage: str
) -> None:
    machine.paths.belief.write_text(damage)
    shown = show(machine.system, as_json=False)
    assert (shown.code, shown.output) == (FAILED, "")
    assert "cannot read /run/waagent/goal-state.json" in shown.complaint
    assert shown.complaint.endswith("; another version may have written it\n")


def test_pipe_in_the_files_place_holds_nobody_up(machine: RootedAgent) -> None:
    machine.paths.belief.unlink()
    os.mkfifo(machine.paths.belief)
    shown = show(machine.system, as_json=False)
    assert shown.code == FAILED
    assert "it is no plain file" in shown.complaint
    machine.turn()
    assert told(machine)["running"] is True


@pytest.mark.parametrize(("key", "value"), [("began", 1), ("boot", "another"), ("pid", 2**22 + 1)])
def test_later_process_of_the_same_number_is_not_taken_for_the_agent(
    machine: RootedAgent, key: str, value: object
) -> None:
    document = json.loads(machine.paths.belief.read_bytes())
    document["agent"][key] = value
    machine.paths.belief.write_text(json.dumps(document))
    assert show(machine.system, as_json=True).code == NOT_RUNNING


def test_just_in_time_users_are_named_and_nothing_of_their_passwords(
    machine: RootedAgent,
) -> None:
    user = JitUser("helper", "a password of the fabric")
    machine.fabric.platform.set_users([user])
    machine.start()  # and no turn, which would make the account
    assert told(machine)["users"] == ["helper"]
    assert "\nUsers          helper\n" in text(machine)
    access = machine.session.store.current().remote_access
    assert access is not None
    sealed = access.users[0].encrypted_password or ""
    kept = machine.paths.belief.read_text()
    assert len(sealed) > 100
    assert sealed[:40] not in kept
    assert "a password of the fabric" not in kept
