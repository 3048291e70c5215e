"""Handler commands as real processes: limits, output, what the fabric is told of their end."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.extensions.processes import KeepingRunner, ends, is_alive
from tests.unit.extensions.world import NAME, World, one
from waagent.core.system import System
from waagent.extensions.codes import (
    ExtensionCode,
    ExtensionError,
    HandlerCommandFailed,
    Interrupted,
)
from waagent.extensions.commandlog import MAX_LOG, Voice, recording
from waagent.extensions.launch import Call, Launcher, format_output
from waagent.extensions.state import Operation

QUICK_S = 0.3


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A guest with an empty handler folder."""
    made = World(tmp_path)
    made.home("1.0").folder.mkdir()
    return made


@pytest.fixture
def voice(world: World) -> Voice:
    """Who speaks."""
    return Voice(world.context.events, f"{NAME}-1.0", NAME, "1.0")


def call(world: World, script: str, line: str = "run.sh") -> Call:
    """An enable whose command is this script."""
    home = world.home("1.0")
    path = home.folder / "run.sh"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o744)
    return Call(home, Operation.ENABLE, line, one(version="1.0"))


def failure(world: World, voice: Voice, script: str, limit_s: float = 30) -> ExtensionError:
    """The error with which the script ends."""
    with pytest.raises(ExtensionError) as caught:
        world.launcher(limit_s).run(call(world, script), voice)
    return caught.value


def test_late_command_is_killed_with_all_its_children(world: World, voice: Voice) -> None:
    """And reported as 1011 with what it said until then."""
    error = failure(world, voice, "sleep 60 & echo $! >child; echo begun; sleep 60", QUICK_S)
    assert error.code == ExtensionCode.COMMAND_TIMED_OUT
    command = f"{world.home('1.0').folder}/run.sh"
    assert error.for_fabric() == (
        f"[ExtensionError] Timeout(0.3): {command}\n[stdout]\nbegun\n\n\n[stderr]\n"
    )
    assert ends(int((world.home("1.0").folder / "child").read_text()))


def test_command_that_ignores_signals_is_killed_all_the_same(world: World, voice: Voice) -> None:
    """SIGKILL cannot be ignored."""
    error = failure(world, voice, "trap '' TERM INT HUP; echo $$ >child; sleep 60", QUICK_S)
    assert error.code == ExtensionCode.COMMAND_TIMED_OUT
    assert ends(int((world.home("1.0").folder / "child").read_text()))


def test_process_that_a_command_leaves_behind_is_not_waited_for(world: World, voice: Voice) -> None:
    """Extensions start services so; they keep our output files and that is fine."""
    world.launcher(30).run(call(world, "sleep 60 & echo $! >child"), voice)
    child = int((world.home("1.0").folder / "child").read_text())
    assert is_alive(child)
    os.kill(child, signal.SIGKILL)


def test_command_killed_by_a_signal_is_a_failure(world: World, voice: Voice) -> None:
    """The negative signal number is its exit code."""
    error = failure(world, voice, "kill -9 $PPID; sleep 60")
    assert isinstance(error, HandlerCommandFailed)
    assert error.exit_code in (-9, 137)


def test_command_runs_below_its_folder_whatever_its_line_begins_with(
    world: World, voice: Voice
) -> None:
    """With the arguments that stand in the line, in a session of its own."""
    launched = call(
        world, 'echo "$1-$2" >args; cut -d" " -f6 /proc/$$/stat >session', "/run.sh a b"
    )
    world.launcher(30).run(launched, voice)
    folder = world.home("1.0").folder
    assert (folder / "args").read_text() == "a-b\n"
    assert int((folder / "session").read_text()) != os.getsid(0)
    assert sorted(path.name for path in folder.iterdir()) == ["args", "run.sh", "session"]


def test_file_that_cannot_be_executed_is_explained_by_a_noexec_mount(
    world: World, voice: Voice
) -> None:
    """Exit 126 is what the shell says then."""
    launched = call(world, "true")
    (world.home("1.0").folder / "run.sh").chmod(0o600)
    mounts = world.context.system.path("/proc/mounts")
    mounts.parent.mkdir()
    mounts.write_text(
        "/dev/sda1 / ext4 rw,relatime 0 0\n"
        "/dev/sda2 /var/li ext4 rw,noexec 0 0\n"
        "/dev/sda3 /var ext4 rw,nosuid,noexec 0 0\n"
    )
    with pytest.raises(HandlerCommandFailed) as caught:
        world.launcher(30).run(launched, voice)
    assert caught.value.exit_code == 126
    assert (
        "/run.sh\nWARNING: /var is mounted with the noexec flag, which can prevent execution of VM"
        " Extensions.\n[stdout]\n"
    ) in caught.value.message


def test_missing_folder_is_a_command_that_cannot_be_launched(world: World, voice: Voice) -> None:
    """The code is that of the operation."""
    launched = call(world, "true")
    (world.home("1.0").folder / "run.sh").unlink()
    world.home("1.0").folder.rmdir()
    with pytest.raises(ExtensionError) as caught:
        world.launcher(30).run(launched, voice)
    assert caught.value.code == ExtensionCode.ENABLE_FAILED
    assert caught.value.message.startswith(f"Failed to launch '{world.home('1.0').folder}/run.sh':")


def test_endless_output_fills_neither_the_disk_nor_the_report(world: World, voice: Voice) -> None:
    """Of each stream the first 3200 bytes count."""
    error = failure(world, voice, "head -c 40000000 /dev/zero | tr '\\0' x; sleep 1; exit 3")
    assert isinstance(error, HandlerCommandFailed)
    output = error.message.partition("\n")[2]
    assert output == f"[stdout]\n{'x' * 3180}\n\n[stderr]\n"


def test_undecodable_output_is_escaped(world: World, voice: Voice) -> None:
    """Whatever a handler prints can be reported."""
    error = failure(world, voice, "printf '\\377\\303\\274'; exit 1")
    assert "[stdout]\n\\xff\xfc\n" in error.message


@pytest.mark.parametrize(
    ("out", "err", "kept_out", "kept_err"),
    [
        (1000, 2199, 1000, 2199),
        (1600, 1600, 1590, 1590),
        (3200, 0, 3180, 0),
        (10, 3200, 10, 3170),
        (3200, 3200, 1590, 1590),
    ],
)
def test_output_shares_the_room_between_both_streams(
    out: int, err: int, kept_out: int, kept_err: int
) -> None:
    """The end of each is kept."""
    text = format_output("o" * (out - 1) + "O" if out else "", "e" * (err - 1) + "E" if err else "")
    shown_out, _, shown_err = text[len("[stdout]\n") :].partition("\n\n[stderr]\n")
    assert (len(shown_out), len(shown_err)) == (kept_out, kept_err)
    assert shown_out[-1:] in ("O", "")
    assert shown_err[-1:] in ("E", "")


def test_running_command_is_left_alone_when_the_agent_is_to_stop(
    world: World, voice: Voice, keeping: KeepingRunner
) -> None:
    """An extension may be what stops us, to upgrade us."""
    system = System(world.context.system.root, keeping, world.clock, {})
    launcher = Launcher(replace(world.context, system=system), "")
    launched = call(world, f"kill -USR1 {os.getpid()}; sleep 60")
    before = signal.signal(signal.SIGUSR1, lambda *_: world.stop.set())
    try:
        with pytest.raises(Interrupted):
            launcher.run(launched, voice)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert is_alive(keeping.children[0].pid)


def test_log_of_commands_is_cut_at_a_line_when_it_is_too_large(world: World, voice: Voice) -> None:
    """The newest ten mebibytes stay."""
    path = world.home("1.0").command_log(None)
    path.parent.mkdir(parents=True)
    line = b"x" * 99 + b"\n"
    path.write_bytes(b"old" + line * (MAX_LOG // 100 + 10))
    with recording(path, NAME, verbose=False):
        voice.info("new")
    data = path.read_bytes()
    assert len(data) <= MAX_LOG + 200
    assert data.startswith(line)
    assert data.endswith(b"new\n")


@pytest.mark.parametrize("what", ["link", "pipe", "folder"])
def test_log_of_commands_that_is_no_file_harms_nobody(
    world: World, voice: Voice, what: str
) -> None:
    """Some extensions give their log folder to a user of theirs."""
    path, elsewhere = world.home("1.0").command_log(None), world.paths.lib / "elsewhere"
    path.parent.mkdir(parents=True)
    elsewhere.write_bytes(b"x" * (MAX_LOG + 1))
    if what == "link":
        path.symlink_to(elsewhere)
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with recording(path, NAME, verbose=False):
        voice.info("new")
    assert elsewhere.read_bytes() == b"x" * (MAX_LOG + 1)
    assert what != "link" or path.read_bytes().endswith(b"new\n")
