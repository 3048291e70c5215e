"""Deprovision at a real terminal: the question, ^C before and during, a connection that is lost.

Started by ``test_deprovision_real``; anywhere else everything fails before it does anything.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.provisioning import generalized as machine
from tests.integration.provisioning.generalized import LIB, USER, command, write

QUESTION = "Do you want to proceed (y/n)"
INTERRUPT = b"\x03"
WITHIN_S = 60.0
# Whoever runs the tests in the background has these ignored, and all that they start with them.
UNMOVED = ("env", "--default-signal=INT,HUP")
STARTED, GO = Path("/run/started"), Path("/run/go")
SLOW_USERDEL = f"""#!/bin/sh
echo here > {STARTED}
cat {GO} > /dev/null
exec /usr/sbin/userdel "$@"
"""


class Session:
    """The command at a terminal of its own, as a person has it."""

    def __init__(self, *words: str) -> None:
        self.master, slave = os.openpty()
        self.process = subprocess.Popen(
            [*UNMOVED, "setsid", "--ctty", "--wait", *command(*words)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        self.seen = ""

    def await_text(self, text: str) -> None:
        """Read until that was shown."""
        while text not in self.seen:
            assert select.select([self.master], [], [], WITHIN_S)[0], self.seen
            try:
                self.seen += os.read(self.master, 65536).decode()
            except OSError:  # the other end is closed
                break
        assert text in self.seen, self.seen

    def type(self, keys: bytes) -> None:
        """Press these."""
        os.write(self.master, keys)

    def end(self) -> int:
        """Wait for its end; the exit code."""
        try:
            return self.process.wait(WITHIN_S)
        finally:
            self.process.kill()
            os.close(self.master)


@pytest.fixture
def slow_userdel() -> Iterator[None]:
    """userdel says that it began, and goes on when it is told to."""
    program = Path("/usr/local/sbin/userdel")
    write(program, SLOW_USERDEL, 0o755)
    for pipe in (STARTED, GO):
        os.mkfifo(pipe)
    yield
    for path in (program, STARTED, GO):
        path.unlink()


def test_question_is_answered_with_yes() -> None:
    machine.make_used()
    session = Session("-deprovision+user")
    session.await_text(QUESTION)
    assert machine.has_account(USER)
    session.type(b"Yes, please\n")
    session.await_text("Deprovisioned.")
    assert session.end() == 0
    assert not machine.has_account(USER)
    assert list(LIB.iterdir()) == []


@pytest.mark.parametrize(
    ("keys", "code", "text"),
    [
        (b"n\n", 0, "Nothing has been changed"),
        (b"no, yes\n", 0, "Nothing has been changed"),
        (b"\x04", 1, "nobody answered the question, so nothing has been changed"),
        (INTERRUPT, 0, "Deprovision is interrupted."),
    ],
    ids=["no", "no and yes", "end of input", "interrupt"],
)
def test_nothing_is_done_after_any_other_answer(keys: bytes, code: int, text: str) -> None:
    machine.make_used()
    before = machine.snapshot()
    session = Session("-deprovision+user")
    session.await_text(QUESTION)
    session.type(keys)
    session.await_text(text)
    assert session.end() == code
    assert machine.snapshot() == before
    assert "Traceback" not in session.seen


@pytest.mark.usefixtures("slow_userdel")
def test_interrupt_while_it_works_is_refused_and_all_is_done() -> None:
    machine.make_used()
    session = Session("-deprovision+user", "-force")
    assert STARTED.read_text(encoding="utf-8") == "here\n"
    session.type(INTERRUPT)
    session.await_text("Deprovisioning may not be interrupted.")
    session.type(INTERRUPT)
    GO.write_text("", encoding="utf-8")
    session.await_text("Deprovisioned.")
    assert session.end() == 0
    assert not machine.has_account(USER)
    assert list(LIB.iterdir()) == []


@pytest.mark.usefixtures("slow_userdel")
def test_connection_that_is_lost_while_it_works_does_not_stop_it() -> None:
    """It may be the one of the account that is deleted."""
    machine.make_used()
    session = Session("-deprovision+user", "-force")
    assert STARTED.read_text(encoding="utf-8") == "here\n"
    os.kill(session.process.pid, signal.SIGHUP)
    lost, session.master = session.master, os.open("/dev/null", os.O_RDONLY)
    os.close(lost)
    GO.write_text("", encoding="utf-8")
    assert session.end() == 0
    assert not machine.has_account(USER)
    assert list(LIB.iterdir()) == []


@pytest.mark.usefixtures("slow_userdel")
def test_command_that_a_killed_run_left_behind_is_waited_for() -> None:
    """Two userdel at once, or a state that goes while one still works, would be a mess."""
    machine.make_used()
    first = Session("-deprovision+user", "-force")
    assert STARTED.read_text(encoding="utf-8") == "here\n"
    first.process.kill()
    assert first.end() == -signal.SIGKILL
    second = Session("-deprovision+user", "-force")
    second.await_text("Waiting for what an earlier start left running")
    assert machine.has_account(USER)
    assert (LIB / "ovf-env.xml").exists()
    Path("/usr/local/sbin/userdel").unlink()
    GO.write_text("", encoding="utf-8")
    second.await_text("Deprovisioned.")
    write(Path("/usr/local/sbin/userdel"), "")
    assert second.end() == 0
    assert not machine.has_account(USER)
