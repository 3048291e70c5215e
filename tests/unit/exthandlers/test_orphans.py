"""Numbered pid files, and the daemon that is gone (EXT 1.5)."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clock import ManualClock
from tests.support.runner import ScriptedRunner
from tests.unit.extensions.world import World
from waagent.core.clock import Stop, SystemClock
from waagent.core.system import System
from waagent.exthandlers import orphans


class Machine:
    """A machine with a pid file's folder, and a /proc that says what a process runs."""

    def __init__(self, root: Path) -> None:
        self.clock = ManualClock()
        self.system = System(root, ScriptedRunner({}), self.clock)
        self.pid_file = root / "run" / "waagent.pid"
        self.pid_file.parent.mkdir(parents=True)
        self.stop = Stop()

    def older(self, number: int, text: str) -> Path:
        """A pid file that an older process left."""
        path = self.pid_file.with_name(f"{number}_waagent.pid")
        path.write_text(text)
        return path

    def runs(self, pid: int, command: str) -> None:
        """Have a process in /proc."""
        path = self.system.path(f"/proc/{pid}/cmdline")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(command.replace(" ", "\0"))

    def ends(self, pid: int) -> None:
        """Take a process away."""
        self.system.path(f"/proc/{pid}/cmdline").unlink()

    def claim(self) -> dict[str, str]:
        """Claim; the pid files there are then."""
        orphans.claim(self.system, self.pid_file, self.stop)
        found = self.pid_file.parent.glob("*_waagent.pid")
        return {path.name: path.read_text() for path in found if path.is_file()}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine on which nothing of ours runs."""
    return Machine(tmp_path)


@contextlib.contextmanager
def real_process() -> Iterator[int]:
    """A process that may be killed."""
    code = "import signal; signal.pause()"
    with subprocess.Popen([sys.executable, "-S", "-c", code]) as process:
        yield process.pid
        process.kill()


def test_first_process_gets_number_zero(machine: Machine) -> None:
    assert machine.claim() == {"0_waagent.pid": str(os.getpid())}


def test_files_of_processes_that_are_gone_are_removed_and_counted_on(machine: Machine) -> None:
    machine.older(0, "4000001")
    machine.older(11, "4000002\n")
    machine.older(2, "")
    assert machine.claim() == {"12_waagent.pid": str(os.getpid())}
    assert machine.clock.waits == []


@pytest.mark.parametrize("text", ["no number", "-1", "0", "9" * 6000, "1\n2", "\0"])
def test_file_without_a_pid_is_removed(machine: Machine, text: str) -> None:
    machine.older(0, text)
    assert machine.claim() == {"1_waagent.pid": str(os.getpid())}


def test_older_process_is_waited_for(machine: Machine) -> None:
    machine.older(0, "4000001")
    machine.runs(4000001, "python3 waagent -run-exthandlers")
    machine.clock.at(7, lambda: machine.ends(4000001))
    assert machine.claim() == {"1_waagent.pid": str(os.getpid())}
    assert machine.clock.waits == [3.0] * 3


def test_number_that_another_program_has_now_is_not_waited_for(machine: Machine) -> None:
    machine.older(0, "4000001")
    machine.runs(4000001, "sshd")
    machine.claim()
    assert machine.clock.waits == []


def test_older_process_that_does_not_end_is_killed_after_fifteen_minutes(machine: Machine) -> None:
    with real_process() as pid:
        machine.older(0, str(pid))
        machine.runs(pid, "python3 waagent -run-exthandlers")
        assert machine.claim() == {"1_waagent.pid": str(os.getpid())}
        assert sum(machine.clock.waits) == pytest.approx(900, abs=3)
        _, status = os.waitpid(pid, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL


def test_older_process_keeps_its_file_when_we_are_told_to_stop(machine: Machine) -> None:
    machine.older(0, "4000001")
    machine.runs(4000001, "python3 waagent -run-exthandlers")
    machine.clock.at(5, machine.stop.set)
    assert machine.claim() == {"0_waagent.pid": "4000001"}


def test_pid_files_that_cannot_be_kept_stop_nothing(machine: Machine) -> None:
    (machine.pid_file.parent / "0_waagent.pid").mkdir()
    os.mkfifo(machine.pid_file.parent / "1_waagent.pid")
    machine.claim()
    orphans.claim(machine.system, machine.system.path("/no/such/folder/waagent.pid"), machine.stop)


@pytest.mark.parametrize(
    ("text", "is_orphan"),
    [(str(os.getppid()), False), (f"{os.getppid()}\n", False), ("1", True), ("", True)],
)
def test_process_is_an_orphan_unless_its_parent_is_the_daemon(
    machine: Machine, text: str, is_orphan: bool
) -> None:
    machine.pid_file.write_text(text)
    assert orphans.is_orphan(machine.pid_file) is is_orphan


def test_process_is_an_orphan_without_a_pid_file(machine: Machine) -> None:
    assert orphans.is_orphan(machine.pid_file)


def test_end_of_the_daemon_is_heard_once_by_whoever_waits() -> None:
    with real_process() as pid:
        end = orphans.DaemonEnd(os.pidfd_open(pid))
        clock = SystemClock()
        assert not end.answer()
        os.kill(pid, signal.SIGKILL)
        clock.wait(None, 20, end.fileno())
        assert (end.answer(), end.answer()) == (True, False)
        listener = select.poll()
        listener.register(end.fileno(), select.POLLIN)
        assert listener.poll(0) == [], "it would speak for ever"


def test_thread_has_the_process_stop_when_the_daemon_is_gone(tmp_path: Path) -> None:
    context = World(tmp_path).context
    watch = orphans.watch_daemon(context)
    assert watch.bell is not None
    context.paths.pid_file.parent.mkdir(parents=True)
    context.paths.pid_file.write_text(str(os.getppid()))
    watch.do()
    assert not context.stop.is_set()
    context.paths.pid_file.write_text("4000001")
    watch.do()
    assert context.stop.is_set()
