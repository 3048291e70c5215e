"""Run other programs: argument lists, time limits, bounded output, whole process groups.

Source: spec DAEMON 0.2 (the marker in the environment), EXT 3.4.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Optional, Protocol

from waagent.core.errors import CommandFailed, CommandTimedOut
from waagent.core.records import dataclass

# systemd's channel to the daemon, sd_notify(3): nobody else speaks for it.
OUR_CHANNEL = frozenset({"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"})
MARKER = ("AZURE_GUEST_AGENT_PARENT_PROCESS_NAME", "AZURE_GUEST_AGENT")
MAX_OUTPUT = 4 * 1024 * 1024  # of each stream
BLOCK = 64 * 1024
GRACE_S = 0.5  # for what is still in the pipe when the process has ended
DYING_S = 5.0
TICK_S = 0.05  # how often to look for the end where the kernel has no pidfd
CANNOT_START = -1


@dataclass(frozen=True)
class Result:
    """How a command ended: its code and what it printed (bounded, undecodable bytes escaped)."""

    argv: tuple[str, ...]
    code: int
    stdout: str = ""
    stderr: str = ""

    @property
    def ok(self) -> bool:
        """Whether the code is zero."""
        return self.code == 0

    @property
    def output(self) -> str:
        """Both streams, for messages."""
        return "\n".join(part for part in (self.stdout.rstrip(), self.stderr.rstrip()) if part)

    def check(self) -> Result:
        """Itself, or ``CommandFailed`` if the code is not zero."""
        if not self.ok:
            raise CommandFailed(self.argv, self.code, self.output)
        return self


class Child(Protocol):
    """A process that outlives the call that started it."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def poll(self) -> Optional[int]:
        """The exit code (negative: the signal), or ``None`` while it runs."""

    def send(self, number: int) -> None:
        """Send a signal to the process; a process that is gone is no error."""

    def kill_group(self) -> None:
        """Kill everything in its process group."""

    def descriptor(self) -> Optional[int]:
        """A pidfd that becomes readable at its exit, or ``None`` where the kernel has none."""


@dataclass(frozen=True)
class Spawn:
    """How to start a long-lived child."""

    argv: tuple[str, ...]
    cwd: Optional[Path] = None
    env: Optional[Mapping[str, str]] = None
    stdout: Optional[IO[bytes]] = None
    stderr: Optional[IO[bytes]] = None
    stdin: Optional[IO[bytes]] = None
    new_session: bool = True


class Begun(Protocol):
    """A command that runs already, and waits for what it is to read."""

    def finish(self, stdin: bytes, *, timeout_s: float) -> Result:
        """Let it read that, and run to its end; see ``Runner.run``."""

    def cancel(self) -> None:
        """End it: it is not needed."""


class Runner(Protocol):
    """Runs commands; the real one, or a test's that knows what may be asked."""

    def run(self, argv: tuple[str, ...], *, stdin: Optional[bytes], timeout_s: float) -> Result:
        """Run to the end; raises ``CommandTimedOut``; a missing program is code -1."""

    def begin(self, argv: tuple[str, ...]) -> Begun:
        """Start what is to be run to its end later; a missing program is code -1 then."""

    def start(self, spawn: Spawn) -> Child:
        """Start and return at once; raises ``CommandFailed`` if it cannot be started."""


class ProcessRunner:
    """The real runner: processes of this machine."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        kept = {name: value for name, value in environment.items() if name not in OUR_CHANNEL}
        self._environment = {**kept, MARKER[0]: MARKER[1]}

    def run(self, argv: tuple[str, ...], *, stdin: Optional[bytes], timeout_s: float) -> Result:
        """See ``Runner.run``. The command gets a session of its own and dies with its group.

        It is over when the process itself has ended: a service that it left running keeps our
        pipe open, and is given ``GRACE_S`` to fall silent. What is run here is run to be read, so
        it speaks the C locale; programs of others (``start``) keep the locale of the machine.
        """
        stream = subprocess.PIPE if stdin is not None else subprocess.DEVNULL
        return self._begin(argv, stream).finish(stdin or b"", timeout_s=timeout_s)

    def begin(self, argv: tuple[str, ...]) -> Begun:
        """See ``Runner.begin``."""
        return self._begin(argv, subprocess.PIPE)

    def _begin(self, argv: tuple[str, ...], stdin: int) -> BegunProcess:
        try:
            process = subprocess.Popen(
                argv,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**self._environment, "LC_ALL": "C"},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL in an argument
            return BegunProcess(argv, None, str(error))
        return BegunProcess(argv, process)

    def start(self, spawn: Spawn) -> Child:
        """See ``Runner.start``."""
        environment = dict(spawn.env if spawn.env is not None else self._environment)
        try:
            process = subprocess.Popen(
                spawn.argv,
                stdin=subprocess.DEVNULL if spawn.stdin is None else spawn.stdin,
                stdout=spawn.stdout,
                stderr=spawn.stderr,
                cwd=spawn.cwd,
                env=environment,
                start_new_session=spawn.new_session,
            )
        except (OSError, ValueError) as error:
            raise CommandFailed(spawn.argv, CANNOT_START, str(error)) from error
        return ProcessChild(process, leads_group=spawn.new_session)


class BegunProcess:
    """A command of ours that runs, or could not be started."""

    def __init__(
        self, argv: tuple[str, ...], process: Optional[subprocess.Popen[bytes]], why: str = ""
    ) -> None:
        self._argv = argv
        self._process = process
        self._why = why

    def finish(self, stdin: bytes, *, timeout_s: float) -> Result:
        """See ``Begun.finish``."""
        process = self._process
        if process is None:
            return Result(self._argv, CANNOT_START, "", self._why)
        with Conversation(process, stdin) as conversation:
            in_time = conversation.hold(time.monotonic() + timeout_s)
        stdout, stderr = _text(conversation.stdout), _text(conversation.stderr)
        if not in_time:
            output = "\n".join(part for part in (stdout.rstrip(), stderr.rstrip()) if part)
            raise CommandTimedOut(self._argv, timeout_s, output)
        return Result(self._argv, process.returncode, stdout, stderr)

    def cancel(self) -> None:
        """See ``Begun.cancel``."""
        if self._process is not None:
            with Conversation(self._process, b""):
                pass  # leaving it kills what still runs


class ProcessChild:
    """A child process of ours."""

    def __init__(self, process: subprocess.Popen[bytes], *, leads_group: bool = True) -> None:
        self._process = process
        self._leads_group = leads_group
        self._pidfd = _open_pidfd(process.pid)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def poll(self) -> Optional[int]:
        """The exit code (negative: the signal), or ``None`` while it runs."""
        code = self._process.poll()
        if code is not None and self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        return code

    def send(self, number: int) -> None:
        """Send a signal to the process; a process that is gone is no error."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def kill_group(self) -> None:
        """Kill everything in its process group; one that shares ours is killed alone."""
        if self._leads_group:
            _kill_group(self._process.pid)
        else:
            self.send(signal.SIGKILL)

    def descriptor(self) -> Optional[int]:
        """A pidfd that becomes readable at its exit, or ``None``."""
        return self._pidfd


class Conversation:
    """Standard input, output and error of a running process, until its end.

    Leaving the block closes all of it; a process that still runs then is killed with its group.
    """

    def __init__(self, process: subprocess.Popen[bytes], stdin: bytes) -> None:
        self._process = process
        self._pending = memoryview(stdin)
        self._selector = selectors.DefaultSelector()
        self._out = bytearray()
        self._err = bytearray()
        self._pidfd = _open_pidfd(process.pid)

    def __enter__(self) -> Conversation:
        selector = self._selector
        for stream, into in ((self._process.stdout, self._out), (self._process.stderr, self._err)):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, into)
        if self._process.stdin is not None:
            os.set_blocking(self._process.stdin.fileno(), False)
            selector.register(self._process.stdin, selectors.EVENT_WRITE)
        if self._pidfd is not None:
            selector.register(self._pidfd, selectors.EVENT_READ)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process.poll() is None:
            _kill_group(self._process.pid)
            # One that hangs in the kernel (a dead disk) cannot die yet and is left behind.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(DYING_S)
        self._selector.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    @property
    def stdout(self) -> bytes:
        """What it printed so far; the start, if it was too much."""
        return bytes(self._out)

    @property
    def stderr(self) -> bytes:
        """What it complained so far; the start, if it was too much."""
        return bytes(self._err)

    def hold(self, deadline: float) -> bool:
        """Feed and read until the end of the process; whether that was in time."""
        while self._process.poll() is None:
            now = time.monotonic()
            if now >= deadline:
                return False
            self._exchange(min(deadline - now, TICK_S if self._pidfd is None else deadline - now))
        self._stop_feeding()
        if self._pidfd is not None:
            self._selector.unregister(self._pidfd)
        silent_by = time.monotonic() + GRACE_S
        while self._selector.get_map() and time.monotonic() < silent_by:
            self._exchange(silent_by - time.monotonic())
        return True

    def _exchange(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._process.stdin:
                self._feed()
            elif isinstance(key.data, bytearray):
                data = os.read(key.fd, BLOCK)
                if not data:
                    self._selector.unregister(key.fileobj)
                key.data.extend(data[: MAX_OUTPUT - len(key.data)])

    def _feed(self) -> None:
        stream = self._process.stdin
        try:
            written = os.write(stream.fileno(), self._pending[:BLOCK]) if stream else 0
        except BlockingIOError:
            return
        except BrokenPipeError:  # it does not want to know
            written = len(self._pending)
        self._pending = self._pending[written:]
        if not self._pending:
            self._stop_feeding()

    def _stop_feeding(self) -> None:
        stream = self._process.stdin
        if stream is not None and not stream.closed:
            self._selector.unregister(stream)
            stream.close()


def _open_pidfd(pid: int) -> Optional[int]:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # Linux before 5.3
        return None


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
