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
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Optional, Protocol

from waagent.core.errors import CommandFailed, CommandTimedOut

MARKER = ("AZURE_GUEST_AGENT_PARENT_PROCESS_NAME", "AZURE_GUEST_AGENT")
MAX_OUTPUT = 4 * 1024 * 1024
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
    new_session: bool = True


class Runner(Protocol):
    """Runs commands; the real one, or a test's that knows what may be asked."""

    def run(self, argv: tuple[str, ...], *, stdin: Optional[bytes], timeout_s: float) -> Result:
        """Run to the end; raises ``CommandTimedOut``; a missing program is code -1."""

    def start(self, spawn: Spawn) -> Child:
        """Start and return at once; raises ``CommandFailed`` if it cannot be started."""


class ProcessRunner:
    """The real runner: processes of this machine, optionally in another root folder's view."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**environment, MARKER[0]: MARKER[1]}

    def run(self, argv: tuple[str, ...], *, stdin: Optional[bytes], timeout_s: float) -> Result:
        """See ``Runner.run``. The command gets a session of its own and dies with its group."""
        environment = {**self._environment, "LC_ALL": "C"}
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            return Result(argv, CANNOT_START, "", str(error))
        with process:
            streams = _pump(process, stdin or b"", time.monotonic() + timeout_s)
            if streams is None:
                _kill_group(process.pid)
                process.wait()
                raise CommandTimedOut(argv, timeout_s, "")
            return Result(argv, process.wait(), _text(streams[0]), _text(streams[1]))

    def start(self, spawn: Spawn) -> Child:
        """See ``Runner.start``."""
        environment = dict(spawn.env if spawn.env is not None else self._environment)
        try:
            process = subprocess.Popen(
                spawn.argv,
                stdin=subprocess.DEVNULL,
                stdout=spawn.stdout,
                stderr=spawn.stderr,
                cwd=spawn.cwd,
                env=environment,
                start_new_session=spawn.new_session,
            )
        except OSError as error:
            raise CommandFailed(spawn.argv, CANNOT_START, str(error)) from error
        return ProcessChild(process)


class ProcessChild:
    """A child process of ours."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._pidfd: Optional[int] = None
        with contextlib.suppress(AttributeError, OSError):  # Linux before 5.3
            self._pidfd = os.pidfd_open(process.pid)

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
        """Kill everything in its process group."""
        _kill_group(self._process.pid)

    def descriptor(self) -> Optional[int]:
        """A pidfd that becomes readable at its exit, or ``None``."""
        return self._pidfd


def _pump(
    process: subprocess.Popen[bytes], stdin: bytes, deadline: float
) -> Optional[tuple[bytes, bytes]]:
    """Feed and read the process until both streams end; ``None`` when the time is over."""
    collected: dict[object, bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    pending = memoryview(stdin)
    with selectors.DefaultSelector() as selector:
        selector.register(_stream(process.stdout), selectors.EVENT_READ)
        selector.register(_stream(process.stderr), selectors.EVENT_READ)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
        while selector.get_map():
            ready = selector.select(deadline - time.monotonic())
            if not ready and time.monotonic() >= deadline:
                return None
            for key, _ in ready:
                if key.fileobj is process.stdin:
                    pending = _feed(process, selector, pending)
                else:
                    _collect(selector, key, collected[key.fileobj])
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None
    return bytes(collected[process.stdout]), bytes(collected[process.stderr])


def _stream(stream: Optional[IO[bytes]]) -> IO[bytes]:
    if stream is None:
        raise ValueError("a pipe was asked for and is missing")
    return stream


def _feed(
    process: subprocess.Popen[bytes], selector: selectors.BaseSelector, pending: memoryview
) -> memoryview:
    stream = _stream(process.stdin)
    try:
        written = os.write(stream.fileno(), pending[:65536]) if pending else 0
    except BlockingIOError:
        return pending
    except BrokenPipeError:
        pending, written = pending[:0], 0
    if not pending[written:]:
        selector.unregister(stream)
        stream.close()
    return pending[written:]


def _collect(selector: selectors.BaseSelector, key: selectors.SelectorKey, into: bytearray) -> None:
    data = os.read(key.fd, 65536)
    if not data:
        selector.unregister(key.fileobj)
    elif len(into) < MAX_OUTPUT:
        into.extend(data)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
