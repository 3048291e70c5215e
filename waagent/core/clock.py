"""Time, and the only way to wait in this project.

``Stop`` is what a signal handler or a thread sets; ``Clock.wait`` returns when it is set, when
the time is over, or when a descriptor has something to say (ARCHITECTURE.md, threads).
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import time
import weakref
from datetime import datetime, timezone
from typing import Optional, Protocol

MAX_WAIT_S = 24 * 3600.0


class Stop:
    """A flag that can be polled: set once, by any thread or by a signal handler.

    No lock is taken: a handler that interrupts ``set`` in its own thread would wait for ever. In
    a forked copy of the process the flag is the copy's own: setting it wakes nobody else.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._owner = os.getpid()
        self._reader = self._writer = -1
        self._reader, self._writer = _pipe()

    def __del__(self) -> None:
        self.close()

    def set(self) -> None:
        """Ask to stop; safe in a signal handler and as often as one likes."""
        if self._is_set:
            return
        self._is_set = True
        self._own_the_pipe()
        if self._writer >= 0:
            os.write(self._writer, b"x")

    def wake_on_signals(self) -> None:
        """Have the kernel's own handler write to our pipe, for the main thread.

        Python runs its handlers between two of its steps: a signal that comes just before the
        wait begins would otherwise be heard only when the wait is over.
        """
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def is_set(self) -> bool:
        """Whether somebody asked to stop."""
        return self._is_set

    def fileno(self) -> int:
        """A descriptor that becomes readable when the flag is set; -1 after ``close``."""
        self._own_the_pipe()
        return self._reader

    def close(self) -> None:
        """Give the descriptors back; the flag keeps its value and can still be set."""
        pipe = (self._reader, self._writer)
        self._reader = self._writer = -1
        for descriptor in pipe:
            if descriptor >= 0:
                os.close(descriptor)

    def _own_the_pipe(self) -> None:
        if self._owner == os.getpid() or self._reader < 0:
            return
        self._owner = os.getpid()
        self.close()
        self._reader, self._writer = _pipe()
        if self._is_set:
            os.write(self._writer, b"x")


class Bell:
    """Wakes one thread that waits for its descriptor; rung by any thread, as often as one likes."""

    def __init__(self) -> None:
        self._reader, self._writer = pipe = _pipe()
        weakref.finalize(self, _close, *pipe)

    def ring(self) -> None:
        """Wake the one who waits, or will."""
        with contextlib.suppress(BlockingIOError):  # it has been rung often enough
            os.write(self._writer, b"x")

    def answer(self) -> bool:
        """Whether it was rung since it was asked last."""
        try:
            return bool(os.read(self._reader, 4096))
        except BlockingIOError:
            return False

    def fileno(self) -> int:
        """A descriptor that is readable while nobody has answered."""
        return self._reader


class Clock(Protocol):
    """Wall time, monotonic time, and waiting."""

    def now(self) -> datetime:
        """Wall time in UTC, aware."""

    def monotonic(self) -> float:
        """Seconds that never go back; for durations and deadlines."""

    def wait(self, stop: Optional[Stop], seconds: float, *descriptors: int) -> bool:
        """Wait; ``True`` if asked to stop, ``False`` when time is over or a descriptor speaks."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Wall time in UTC, aware."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def wait(self, stop: Optional[Stop], seconds: float, *descriptors: int) -> bool:
        """See ``Clock.wait``; a wait is never longer than a day.

        Raises ``OSError`` for a descriptor that is closed: waiting on it would be no wait at all.
        """
        if stop is not None and stop.is_set():
            return True
        poller = select.poll()
        if stop is not None and stop.fileno() >= 0:
            poller.register(stop.fileno(), select.POLLIN)
        for descriptor in descriptors:
            poller.register(descriptor, select.POLLIN | select.POLLPRI | select.POLLERR)
        milliseconds = int(min(max(seconds, 0.0), MAX_WAIT_S) * 1000 + 0.999)
        for descriptor, event in poller.poll(milliseconds):
            if event & select.POLLNVAL:
                raise OSError(errno.EBADF, f"cannot wait for descriptor {descriptor}: it is closed")
        return stop is not None and stop.is_set()


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _pipe() -> tuple[int, int]:
    return os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)


def timestamp(moment: datetime) -> str:
    """``2025-01-31T10:11:12.000000Z``: UTC with six fraction digits always (spec WIRE, intro)."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def timestamp_s(moment: datetime) -> str:
    """``2025-01-31T10:11:12Z``: UTC in whole seconds (spec WIRE 7.2)."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
