"""Forked copies: their end is known, they never return into the parent's code, nor outlive it.

The tests run in processes of their own: one that runs tests may have threads.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from waagent.core.clock import SystemClock

HEAD = """
import os, signal, sys, threading
from waagent.core import forked, signals
from waagent.core.clock import Stop, SystemClock
from waagent.core.errors import Exit
clock = SystemClock()

def end_of(child):
    while child.poll() is None:
        clock.wait(None, 1.0, *([] if child.descriptor() is None else [child.descriptor()]))
    return child.poll()

"""


def run(script: str, *words: str) -> str:
    """What a process prints that runs the script; it must end well and without a complaint."""
    done = subprocess.run(
        [sys.executable, "-c", HEAD + script, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize(
    ("work", "code"),
    [
        ("lambda: 0", 0),
        ("lambda: 7", 7),
        ("lambda: 256", 1),
        ("lambda: -3", 1),
        ("lambda: 1 // 0", 1),
        ("lambda: sys.exit(0)", 1),
        ("lambda: os.kill(os.getpid(), signal.SIGKILL)", -9),
        ("leave", 5),
    ],
)
def test_copy_ends_with_the_code_of_its_work(work: str, code: int) -> None:
    """A defect is a code too; 256 must not pass for 0."""
    script = f"""
def leave():
    raise Exit(5, "on purpose")
sys.stderr = open(os.devnull, "w")
child = forked.fork({work})
print(end_of(child), child.poll(), child.descriptor())
"""
    assert run(script) == f"{code} {code} None\n"


def test_copy_never_returns_into_the_code_of_its_parent() -> None:
    """Not even when its output can no longer be written."""
    full = """
def work():
    sys.stdout = open("/dev/full", "w")
    sys.stdout.write("x")
    return 2
print("once", end_of(forked.fork(work)))
"""
    assert run(full) == "once 2\n"
    broken = """
def work():
    sys.stdout = open(os.devnull)
    sys.stdout.close()
    return 3
print("once", end_of(forked.fork(work)))
"""
    assert run(broken) == "once 3\n"


def test_copy_runs_no_exit_handler_of_its_parent() -> None:
    """They are the parent's, and run once."""
    script = """
import atexit
atexit.register(print, "parting")
print(end_of(forked.fork(lambda: 0)))
"""
    assert run(script) == "0\nparting\n"


def test_process_with_other_threads_is_not_forked() -> None:
    """Their locks would be lost in the copy."""
    script = """
done = threading.Event()
thread = threading.Thread(target=done.wait)
thread.start()
try:
    forked.fork(lambda: 0)
except RuntimeError as error:
    print(error)
done.set()
thread.join()
print(end_of(forked.fork(lambda: 4)))
"""
    assert run(script) == "cannot fork a process that has other threads\n4\n"


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_copy_has_none_of_its_parents_signal_handlers(number: str) -> None:
    """A termination ends it at once, and leaves the parent's stop alone."""
    script = f"""
stop = Stop()
signals.stop_on(stop, [signal.{number}])
ready, told = os.pipe()
def work():
    os.write(told, b"x")
    SystemClock().wait(None, 60)
    return 0
child = forked.fork(work)
os.read(ready, 1)
child.send(signal.{number})
print(end_of(child) == -signal.{number}, stop.is_set(), clock.wait(stop, 0))
"""
    assert run(script) == "True False False\n"


def test_copy_leads_a_session_of_its_own_and_is_killed_with_its_group() -> None:
    """What it has started goes too."""
    script = """
ready, told = os.pipe()
def work():
    os.write(told, b"%d %d" % (os.getsid(0), os.getpid()))
    SystemClock().wait(None, 60)
    return 0
child = forked.fork(work)
session, pid = os.read(ready, 99).split()
child.kill_group()
print(session == pid == b"%d" % child.pid, end_of(child))
child.kill_group()
child.send(signal.SIGTERM)
"""
    assert run(script) == "True -9\n"


def test_copy_can_be_killed_before_it_has_a_group() -> None:
    """However soon the order comes."""
    script = """
for _ in range(50):
    child = forked.fork(lambda: SystemClock().wait(None, 60) or 0)
    child.kill_group()
    assert end_of(child) == -9
print("all")
"""
    assert run(script) == "all\n"


def test_death_of_the_parent_kills_the_copy(tmp_path: Path) -> None:
    """So that no two ever prepare the same machine."""
    script = """
ready, told = os.pipe()
def work():
    os.write(told, b"x")
    SystemClock().wait(None, 600)
    return 0
child = forked.fork(work)
os.read(ready, 1)
with open(sys.argv[1], "w") as stream:
    stream.write(str(child.pid))
os.kill(os.getpid(), signal.SIGKILL)
"""
    note = tmp_path / "pid"
    done = subprocess.run([sys.executable, "-c", HEAD + script, str(note)], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert ends(int(note.read_text(encoding="ascii")))


def ends(pid: int) -> bool:
    """Wait for the end of a process that is not ours to wait for."""
    clock = SystemClock()
    for _ in range(1000):
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state.split()[0] in ("Z", "X"):
            return True
        clock.wait(None, 0.01)
    os.kill(pid, signal.SIGKILL)
    return False
