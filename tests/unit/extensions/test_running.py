"""A command that outlives the agent that started it: the next one waits, and ends it in time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.extensions.processes import KeepingRunner, await_exit, ends, is_alive
from tests.unit.extensions.world import NAME, World, goal, one, package
from waagent.core.clock import Stop
from waagent.core.system import System
from waagent.extensions.codes import ExtensionError, Interrupted
from waagent.extensions.commandlog import Voice
from waagent.extensions.home import HandlerHome, homes_on_disk
from waagent.extensions.launch import Call
from waagent.extensions.running import LONGEST_S, await_commands
from waagent.extensions.state import Operation

LIMIT_S = 300
FOREVER = "sleep 60 & echo $! >child; echo $$ >self; sleep 60"
# The first time it stops the agent and goes on until somebody writes to the pipe.
TRAP = r"""
if [ "$1" = enable ] && mkdir "$home/../../begun" 2>/dev/null; then
    kill -USR1 @AGENT@
    read -r _ <"$home/../../pipe"
    echo ended >>"$home/../../calls"
fi
"""


@pytest.fixture
def world(tmp_path: Path, keeping: KeepingRunner) -> World:
    """A guest whose handlers lie in a folder, and whose processes are this machine's."""
    made = World(tmp_path)
    system = System(Path("/"), keeping, made.clock, made.context.system.environment)
    made.context = replace(made.context, system=system)
    made.home("1.0").config.mkdir(parents=True)
    return made


@pytest.fixture(autouse=True)
def _stop_on_signal(world: World) -> Iterator[None]:
    """SIGUSR1 is what SIGTERM is to the agent."""
    before = signal.signal(signal.SIGUSR1, lambda *_: world.context.stop.set())
    yield
    signal.signal(signal.SIGUSR1, before)


def launch(world: World, script: str, limit_s: float = LIMIT_S) -> None:
    """Run an enable whose command is this script."""
    home = world.home("1.0")
    path = home.folder / "run.sh"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o744)
    voice = Voice(world.context.events, home.full_name, NAME, "1.0")
    call = Call(home, Operation.ENABLE, "run.sh", one(version="1.0"))
    world.launcher(limit_s).run(call, voice)


def leave(world: World) -> HandlerHome:
    """An agent was stopped while a command ran, and the next one is started."""
    with pytest.raises(Interrupted):
        launch(world, FOREVER.replace("; sleep", f"; kill -USR1 {os.getpid()}; sleep"))
    start_again(world)
    return world.home("1.0")


def start_again(world: World) -> None:
    """Nobody has asked the next agent to stop yet."""
    world.context = replace(world.context, stop=Stop())
    world.start()


def wait(world: World) -> float:
    """What a start does before any command; how long that took."""
    before = world.clock.monotonic()
    await_commands(world.context, homes_on_disk(world.paths))
    return world.clock.monotonic() - before


def pid_in(home: HandlerHome, name: str) -> int:
    """A process that a command wrote down."""
    return int((home.folder / name).read_text())


def alter(home: HandlerHome, **changes: object) -> None:
    """Change the record."""
    record = json.loads(home.command.read_text())
    home.command.write_text(json.dumps({**record, **changes}))


def test_command_that_is_left_is_on_record_for_root_alone(
    world: World, keeping: KeepingRunner
) -> None:
    """In the handler's own folder, with the time until which it may run."""
    home = leave(world)
    record = json.loads(home.command.read_text())
    assert home.command.stat().st_mode & 0o7777 == 0o600
    assert (record["pid"], record["operation"]) == (keeping.children[0].pid, "enable")
    assert 0 <= record["until"] - world.clock.monotonic() <= LIMIT_S


def test_record_names_the_command_while_it_runs(world: World) -> None:
    """The agent may be killed at any moment."""
    launch(world, "until [ -f config/HandlerCommand ]; do :; done", 10)


@pytest.mark.parametrize("script", ["true", "exit 3", "kill -9 $$"])
def test_record_is_gone_when_the_command_has_ended(world: World, script: str) -> None:
    """However it ended."""
    with contextlib.suppress(ExtensionError):
        launch(world, script)
    assert not world.home("1.0").command.exists()


def test_record_is_gone_when_the_command_was_late(world: World) -> None:
    """It was killed."""
    with pytest.raises(ExtensionError, match="Timeout"):
        launch(world, FOREVER, 0.3)
    assert not world.home("1.0").command.exists()


def test_command_runs_when_it_cannot_be_noted(world: World) -> None:
    """A record is never a reason to fail."""
    home = world.home("1.0")
    home.command.mkdir()
    launch(world, "touch done")
    assert (home.folder / "done").exists()
    assert wait(world) == 0


def test_next_start_waits_until_the_command_has_ended(
    world: World, keeping: KeepingRunner, caplog: pytest.LogCaptureFixture
) -> None:
    """And says for what."""
    home = leave(world)
    child = keeping.children[0]

    def end() -> None:
        child.kill_group()
        await_exit(child)

    world.clock.at(20, end)
    assert 20 <= wait(world) < 21
    assert not home.command.exists()
    what = f"the enable command of {NAME}-1.0 (process {child.pid})"
    assert f"Waiting for {what}, which an earlier start left running, at most" in caplog.text
    assert f"{what} has ended" in caplog.text


def test_zombie_is_not_waited_for(world: World, keeping: KeepingRunner) -> None:
    """It has ended; whoever should take note of that does not."""
    leave(world)
    keeping.children[0].kill_group()
    assert ends(keeping.children[0].pid)
    assert wait(world) == 0


def test_next_start_ends_the_command_with_its_group_when_its_time_is_over(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """It gets what is left of its own time, not all of it anew."""
    home = leave(world)
    world.clock.advance(200)
    assert LIMIT_S - 210 <= wait(world) <= LIMIT_S - 190
    assert ends(pid_in(home, "self"))
    assert ends(pid_in(home, "child"))
    assert not home.command.exists()
    assert "is over: it is killed" in caplog.text


def test_command_is_not_waited_for_longer_than_any_may_run(world: World) -> None:
    """Whatever the record says."""
    home = leave(world)
    alter(home, until=10**17)
    assert LONGEST_S <= wait(world) <= LONGEST_S + 10
    assert ends(pid_in(home, "self"))


@pytest.mark.parametrize("changes", [{"began": 1}, {"boot": "another"}, {"pid": 2**31 - 1}])
def test_other_process_of_that_number_is_left_alone(
    world: World, changes: dict[str, object]
) -> None:
    """Numbers are used again, after a while and after a boot."""
    home = leave(world)
    alter(home, **changes)
    assert wait(world) == 0
    assert is_alive(pid_in(home, "self"))
    assert not home.command.exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x"}', "\0" * 5000, "\ud7ff", "[" * 4000]
)
def test_record_that_cannot_be_understood_is_ignored_and_removed(world: World, text: str) -> None:
    """A disk may be full, or hold anything."""
    home = leave(world)
    home.command.write_text(text)
    assert wait(world) == 0
    assert is_alive(pid_in(home, "self"))
    assert not home.command.exists()


@pytest.mark.parametrize("pid", [-1, 0, 1])
def test_record_of_no_command_is_ignored(world: World, pid: int) -> None:
    """These numbers would mean other processes, or all."""
    home = leave(world)
    began = Path("/proc/1/stat").read_text().rpartition(") ")[2].split()[19]
    alter(home, pid=pid, began=int(began))
    world.clock.at(20, world.context.stop.set)  # a defect must not come to the killing
    assert wait(world) == 0
    assert not home.command.exists()


def test_stop_interrupts_the_wait_and_leaves_the_command_on_record(world: World) -> None:
    """The start after that waits again."""
    home = leave(world)
    world.clock.at(20, world.context.stop.set)
    with pytest.raises(Interrupted):
        wait(world)
    assert home.command.exists()
    assert is_alive(pid_in(home, "self"))


def interrupt_enable(world: World, keeping: KeepingRunner) -> None:
    """An enable stops the agent; half a minute after the next start it comes to its end."""
    os.mkfifo(world.paths.lib.parent / "pipe")
    world.store.publish("1.0.0", package(trap=TRAP.replace("@AGENT@", str(os.getpid()))))
    world.start().process(goal(one()))
    start_again(world)

    def end() -> None:
        (world.paths.lib.parent / "pipe").write_text("go on\n")
        await_exit(keeping.children[-1])

    world.clock.at(30, end)


def test_restart_never_runs_a_command_beside_itself(world: World, keeping: KeepingRunner) -> None:
    """It is run again when the first has ended: nobody knows how."""
    interrupt_enable(world, keeping)
    world.extensions.process(goal(one()))
    assert world.calls() == ["install 1.0.0 0", "enable 1.0.0 0", "ended", "enable 1.0.0 0"]
    assert not world.home("1.0.0").command.exists()


def test_other_handlers_wait_too_when_a_command_was_left(
    world: World, keeping: KeepingRunner
) -> None:
    """One command runs at a time: two would meet at the package manager's lock."""
    interrupt_enable(world, keeping)
    world.store.publish("2.0", package(), name="Other.Handler")
    world.extensions.process(goal(one(name="Other.Handler", version="2.0"), one(), number=2))
    assert world.calls()[2:] == ["ended", "install 2.0 0", "enable 2.0 0", "enable 1.0.0 0"]


def test_handler_is_not_removed_under_its_running_command(
    world: World, keeping: KeepingRunner
) -> None:
    """A goal state that names it no more has no command to run for it."""
    interrupt_enable(world, keeping)
    world.extensions.process(goal(number=2))
    assert world.calls()[-1] == "ended"
    assert not world.home("1.0.0").folder.exists()


def test_stop_during_the_wait_leaves_the_goal_state_unfinished(
    world: World, keeping: KeepingRunner
) -> None:
    """No command is run, and the command that runs stays on record."""
    interrupt_enable(world, keeping)
    world.clock.at(5, world.context.stop.set)
    world.extensions.process(goal(one()))
    assert world.calls() == ["install 1.0.0 0", "enable 1.0.0 0"]
    assert world.home("1.0.0").command.exists()
