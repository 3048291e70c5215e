"""A clock that stands still until somebody waits; then the time has passed at once."""

from __future__ import annotations

import select
from datetime import datetime, timedelta, timezone
from typing import Callable, Optional

from waagent.core.clock import Stop

START = datetime(2026, 1, 31, 10, 11, 12, tzinfo=timezone.utc)


class ManualClock:
    """A ``Clock`` whose waits end at once, having moved the time on.

    What a test wants to happen meanwhile (a file appears, somebody asks to stop) is planned with
    ``at``. A descriptor that has something to say ends a wait before any time has passed.
    """

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._monotonic = 1000.0
        self._planned: list[tuple[float, Callable[[], None]]] = []
        self.waits: list[float] = []

    def now(self) -> datetime:
        """Wall time in UTC, aware."""
        return self._now

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._monotonic

    def wait(self, stop: Optional[Stop], seconds: float, *descriptors: int) -> bool:
        """Let the time pass; ``True`` if asked to stop."""
        if stop is not None and stop.is_set():
            return True
        self.waits.append(seconds)
        if _speaks(descriptors):
            return False
        end = self._monotonic + max(0.0, seconds)
        while True:
            due = [plan for plan in self._planned if plan[0] <= end]
            if not due:
                break
            first = min(due, key=lambda plan: plan[0])
            self._planned.remove(first)
            self.advance(max(0.0, first[0] - self._monotonic))
            first[1]()
            if stop is not None and stop.is_set():
                return True
            if _speaks(descriptors):
                return False
        self.advance(end - self._monotonic)
        return stop is not None and stop.is_set()

    def advance(self, seconds: float) -> None:
        """Move both times on, without anything planned happening."""
        self._monotonic += seconds
        self._now += timedelta(seconds=seconds)

    def set_wall_time(self, moment: datetime) -> None:
        """Set the wall time alone, as an administrator or a time server does."""
        self._now = moment

    def at(self, after_s: float, do: Callable[[], None]) -> None:
        """Plan something for when that much time has passed, counted from now."""
        self._planned.append((self._monotonic + after_s, do))


def _speaks(descriptors: tuple[int, ...]) -> bool:
    if not descriptors:
        return False
    poller = select.poll()
    for descriptor in descriptors:
        poller.register(descriptor, select.POLLIN | select.POLLPRI)
    return bool(poller.poll(0))
