"""One time for several threads, of which one runs at a time: it passes when all of them wait.

So an hour of a whole process takes seconds, and is the same hour each time.
"""

from __future__ import annotations

import select
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Optional

from waagent.core.clock import Stop

COMMAND_ENDS_WITHIN_MS = 60_000


@dataclass
class Sleeper:
    """A thread that waits, and for what."""

    until: float
    stop: Optional[Stop]
    descriptors: tuple[int, ...]

    def is_called(self) -> bool:
        """Whether somebody asked it to stop, or a descriptor has something to say."""
        if self.stop is not None and self.stop.is_set():
            return True
        poller = select.poll()
        for descriptor in self.descriptors:
            poller.register(descriptor, select.POLLIN)
        return bool(self.descriptors) and bool(poller.poll(0))


class SharedClock:
    """A ``Clock``; threads that take part ``join`` and ``leave``, others just let time pass.

    Who waits for descriptors without having joined waits for a process, in real time.
    """

    def __init__(self) -> None:
        self._now = datetime.now(timezone.utc)
        self._monotonic = 1000.0
        self._changed = threading.Condition()
        self._sleepers: dict[int, Sleeper] = {}
        self._members: set[int] = set()
        self._running: Optional[int] = None
        self._leader: Optional[int] = None

    def now(self) -> datetime:
        """Wall time in UTC, aware."""
        return self._now

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._monotonic

    def join(self, *, leads: bool = False) -> None:
        """Take part from now on; returns when it is our turn.

        The one that ``leads`` begins, and waits for processes in real time.
        """
        me = threading.get_ident()
        with self._changed:
            self._members.add(me)
            if leads:
                self._leader = self._running = me
                return
            self._sleepers[me] = Sleeper(self._monotonic, None, ())
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._running == me)

    def await_members(self, count: int) -> None:
        """Wait until so many take part, so that all begin at the same moment."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._members) >= count, 60):
                raise AssertionError("the threads did not start")

    def leave(self) -> None:
        """Take no part any more."""
        me = threading.get_ident()
        with self._changed:
            self._members.discard(me)
            self._pass_on()

    def wait(self, stop: Optional[Stop], seconds: float, *descriptors: int) -> bool:
        """See ``Clock.wait``."""
        me = threading.get_ident()
        if stop is not None and stop.is_set():
            return True
        if descriptors and (me not in self._members or me == self._leader):
            return self._await_process(stop, descriptors)
        with self._changed:
            if me not in self._members:
                self._advance(self._monotonic + max(0.0, seconds))
                return False
            self._sleepers[me] = Sleeper(self._monotonic + max(0.0, seconds), stop, descriptors)
            self._pass_on()
            self._changed.wait_for(lambda: self._running == me)
        return stop is not None and stop.is_set()

    def _pass_on(self) -> None:
        """Whoever is called runs next, else who wakes first, and the time is that of its waking."""
        if not self._sleepers:
            self._running = None
            return
        called = [ident for ident, one in self._sleepers.items() if one.is_called()]
        ident = called[0] if called else min(self._sleepers, key=lambda i: self._sleepers[i].until)
        sleeper = self._sleepers.pop(ident)
        if not called:
            self._advance(max(self._monotonic, sleeper.until))
        self._running = ident
        self._changed.notify_all()

    def _advance(self, until: float) -> None:
        self._now += timedelta(seconds=until - self._monotonic)
        self._monotonic = until

    def _await_process(self, stop: Optional[Stop], descriptors: tuple[int, ...]) -> bool:
        poller = select.poll()
        for descriptor in (*descriptors, *([stop.fileno()] if stop else [])):
            poller.register(descriptor, select.POLLIN)
        if not poller.poll(COMMAND_ENDS_WITHIN_MS):
            raise AssertionError("a command of an extension does not end")
        return stop is not None and stop.is_set()
