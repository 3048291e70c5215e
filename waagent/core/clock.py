"""Time, and the only way to wait in this project.

``Stop`` is what a signal handler or a thread sets; ``Clock.wait`` returns when it is set, when
the time is over, or when a descriptor has something to say (ARCHITECTURE.md, threads).
"""

from __future__ import annotations

import os
import select
import threading
import time
from datetime import datetime, timezone
from typing import Optional, Protocol

MAX_WAIT_S = 24 * 3600.0


class Stop:
    """A flag that can be polled: set once, by any thread or by a signal handler."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def set(self) -> None:
        """Ask to stop; safe in a signal handler and as often as one likes."""
        if not self._event.is_set():
            self._event.set()
            os.write(self._writer, b"x")

    def is_set(self) -> bool:
        """Whether somebody asked to stop."""
        return self._event.is_set()

    def fileno(self) -> int:
        """A descriptor that becomes readable when the flag is set."""
        return self._reader

    def close(self) -> None:
        """Give the descriptors back; the flag keeps its value."""
        os.close(self._reader)
        os.close(self._writer)


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
        """See ``Clock.wait``; a wait is never longer than a day."""
        poller = select.poll()
        if stop is not None:
            poller.register(stop.fileno(), select.POLLIN)
        for descriptor in descriptors:
            poller.register(descriptor, select.POLLIN | select.POLLPRI | select.POLLERR)
        milliseconds = int(min(max(seconds, 0.0), MAX_WAIT_S) * 1000 + 0.999)
        poller.poll(milliseconds)
        return stop is not None and stop.is_set()


def timestamp(moment: datetime) -> str:
    """``2025-01-31T10:11:12.000000Z``: UTC with six fraction digits always (spec WIRE, intro)."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def timestamp_s(moment: datetime) -> str:
    """``2025-01-31T10:11:12Z``: UTC in whole seconds (spec WIRE 7.2)."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
