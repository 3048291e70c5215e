"""From one version to another, up and down, through failures and kills."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.extensions.victim import publish
from tests.unit.extensions.world import NAME, World, goal, one, package
from waagent.extensions.commandlog import Voice
from waagent.extensions.launch import Call, Launcher
from waagent.extensions.state import HandlerState, read_state
from waagent.protocol.documents.handlers import Handler

NEW = "1.1.0"
OLD = "1.0.0"
FOLDER = f"{NAME}-{NEW}"
ORDER = [f"disable {OLD} 1", f"update {NEW} 1", f"uninstall {OLD} 1", f"install {NEW} 1"]


class Killed(BaseException):
    """The process was killed: nothing may catch this."""


class Killer(Launcher):
    """Kills the process before or after the n-th command of its life."""

    def __init__(self, world: World, at: int, *, before: bool) -> None:
        super().__init__(world.context, "")
        self._left = at
        self._before = before

    def run(self, call: Call, voice: Voice) -> None:
        """See ``Launcher.run``."""
        self._left -= 1
        if self._left == 0 and self._before:
            raise Killed
        super().run(call, voice)
        if self._left == 0:
            raise Killed


def new(number: int = 1) -> Handler:
    """The handler in its new version."""
    return one(number, version=NEW)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A guest where the old version is enabled and the new one published."""
    made = World(tmp_path)
    made.store.publish(OLD, package())
    made.store.publish(NEW, package())
    made.extensions.process(goal(one()))
    made.calls()
    return made


def test_update_runs_the_recorded_order_of_commands(world: World) -> None:
    """Old disable, new update, old uninstall, new install, new enable."""
    world.extensions.process(goal(new(), number=2))
    assert world.calls() == [*ORDER, f"enable {NEW} 1"]
    assert world.folders() == [FOLDER]
    told = world.told("update")
    assert told["AZURE_GUEST_AGENT_DISABLE_CMD_EXIT_CODE"] == "0"
    assert told["AZURE_GUEST_AGENT_UPDATING_FROM_VERSION"] == OLD
    assert told["VERSION"] == NEW
    assert told["PWD"].endswith(FOLDER)
    assert "AZURE_GUEST_AGENT_UNINSTALL_CMD_EXIT_CODE" not in told
    for command in ("install", "enable"):
        assert world.told(command)["AZURE_GUEST_AGENT_UNINSTALL_CMD_EXIT_CODE"] == "0"


def test_update_without_install_leaves_the_install_command_out(world: World) -> None:
    """As the publisher's updateMode says."""
    world.store.publish(NEW, package(updateMode="UpdateWithoutInstall"))
    world.extensions.process(goal(new(), number=2))
    assert world.calls() == [*ORDER[:3], f"enable {NEW} 1"]
    assert read_state(world.home(NEW)) is HandlerState.ENABLED


def test_update_takes_mrseq_and_statuses_along(world: World) -> None:
    """With their times: extensions choose by them. Links are not followed."""
    old, fresh = world.home(OLD), world.home(NEW)
    (old.status / "secret").symlink_to("/etc/hostname")
    before = old.last_sequence.stat().st_mtime_ns
    world.store.publish(NEW, package(status=""))
    world.extensions.process(goal(new(), number=2))
    assert fresh.last_sequence.read_text() == "0\n"
    assert fresh.last_sequence.stat().st_mtime_ns == before
    assert [path.name for path in fresh.status.iterdir()] == ["0.status"]


def test_downgrade_runs_the_old_versions_update_command(world: World) -> None:
    """It gets the lower version both as target and as origin (EXT App. E 2)."""
    world.extensions.process(goal(new(), number=2))
    world.calls()
    world.extensions.process(goal(one(2), number=3))
    assert world.calls() == [
        f"disable {NEW} 2",
        f"update {NEW} 2",
        f"uninstall {NEW} 2",
        f"install {OLD} 2",
        f"enable {OLD} 2",
    ]
    told = world.told("update")
    assert (told["VERSION"], told["AZURE_GUEST_AGENT_UPDATING_FROM_VERSION"]) == (OLD, OLD)
    assert told["PWD"].endswith(FOLDER)


def test_failed_update_marks_the_new_version_and_is_repeated_whole(world: World) -> None:
    """FailedUpgrade and 1008; the old one stays installed and is not disabled again."""
    world.store.publish(NEW, package(exits={"update": 7}))
    world.extensions.process(goal(new(), number=2))
    assert world.calls() == ORDER[:2]
    assert read_state(world.home(NEW)) is HandlerState.FAILED_UPGRADE
    assert read_state(world.home(OLD)) is HandlerState.INSTALLED
    (record,) = world.extensions.statuses(goal(new(), number=2))
    assert (record.version, record.status, record.code) == (NEW, "NotReady", 1008)
    assert (record.message or "").startswith("[ExtensionOperationError] Non-zero exit code: 7, ")
    world.store.publish(NEW, package())
    world.extensions.process(goal(new(), number=3))
    assert world.calls() == [*ORDER[1:], f"enable {NEW} 1"]
    assert world.told("update")["AZURE_GUEST_AGENT_DISABLE_CMD_EXIT_CODE"] == "NOT_RUN"


def test_failing_old_version_stops_the_update_unless_the_new_one_goes_on(tmp_path: Path) -> None:
    """The new manifest's continueOnUpdateFailure decides; the exit codes are passed on."""
    world = World(tmp_path)
    world.store.publish(OLD, package(exits={"disable": 4, "uninstall": 6}))
    world.store.publish(NEW, package())
    world.extensions.process(goal(one()))
    world.extensions.process(goal(new(), number=2))
    (record,) = world.extensions.statuses(goal(new(), number=2))
    assert (record.version, record.code) == (NEW, 1008)
    message = record.message or ""
    assert message.startswith(
        "[ExtensionUpdateError] [ExtensionOperationError] Non-zero exit code: 4, "
    )
    assert message.endswith("; ContinueOnUpdate: False")
    (failed,) = [e for e in world.events("Disable") if not e["OperationSuccess"]]
    assert failed["Version"] == OLD
    world.calls()
    world.store.publish(NEW, package(continueOnUpdateFailure=True))
    world.extensions.process(goal(new(), number=3))
    assert world.calls() == [*ORDER, f"enable {NEW} 1"]
    assert world.told("update")["AZURE_GUEST_AGENT_DISABLE_CMD_EXIT_CODE"] == "4"
    assert world.told("enable")["AZURE_GUEST_AGENT_UNINSTALL_CMD_EXIT_CODE"] == "6"


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
def test_update_killed_at_any_command_ends_well_after_a_restart(
    world: World, at: int, before: bool
) -> None:
    """One version is here, enabled, with the handler's own note of what it has done."""
    world.home(OLD).last_sequence.write_text("precious")
    world.store.publish(NEW, package(status=""))
    with pytest.raises(Killed):
        world.start(Killer(world, at, before=before)).process(goal(new(), number=2))
    again = world.start()
    again.prepare()
    again.process(goal(new(), number=2))
    assert world.folders() == [FOLDER]
    assert read_state(world.home(NEW)) is HandlerState.ENABLED
    assert world.home(NEW).last_sequence.read_text() == "precious"
    assert world.calls()[-1] == f"enable {NEW} 1"
    assert [r.status for r in again.statuses(goal(new(), number=2))] == ["Ready"]


@pytest.mark.parametrize("operation", ["disable", "update", "uninstall", "install", "enable"])
def test_update_ends_well_after_a_real_kill_in_each_command(tmp_path: Path, operation: str) -> None:
    """SIGKILL by the command itself, at its end; the next process does the rest."""
    argv = [sys.executable, "-m", "tests.unit.extensions.victim", str(tmp_path), operation]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, "")
    (tmp_path / "var" / "lib" / "agent.pid").unlink()
    world = World(tmp_path)
    publish(world)
    world.extensions.prepare()
    world.extensions.process(goal(new(), number=2))
    assert world.folders() == [FOLDER]
    assert read_state(world.home(NEW)) is HandlerState.ENABLED
    assert world.home(NEW).last_sequence.read_text() == "1\n"
    (record,) = world.extensions.statuses(goal(new(), number=2))
    assert record.extension is not None
    assert (record.status, record.extension.status) == ("Ready", "success")
