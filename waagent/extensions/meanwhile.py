"""A clock that lets somebody speak while it is waited for an extension.

A command may take a quarter of an hour and a dependency 90 minutes; a machine that is silent that
long counts as one whose agent is dead. The reference says nothing meanwhile (EXT 2.5).
"""

from __future__ import annotations

from datetime import datetime
from typing import Callable, Optional

from waagent.core.clock import Clock, Stop

SPEAK_EVERY_S = 60.0


class SpeakingClock:
    """The clock given; between ``begin`` and ``end`` its waits call ``speak`` once a minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._speak: Optional[Callable[[], None]] = None
        self._due = 0.0

    def begin(self, speak: Callable[[], None], *, after_s: float = SPEAK_EVERY_S) -> None:
        """From now on speak, at first after this time."""
        self._speak = speak
        self._due = self._clock.monotonic() + after_s

    def end(self) -> None:
        """No longer speak."""
        self._speak = None

    def now(self) -> datetime:
        """See ``Clock.now``."""
        return self._clock.now()

    def monotonic(self) -> float:
        """See ``Clock.monotonic``."""
        return self._clock.monotonic()

    def wait(self, stop: Optional[Stop], seconds: float, *descriptors: int) -> bool:
        """See ``Clock.wait``."""
        speak = self._speak
        if speak is not None and self._clock.monotonic() >= self._due:
            speak()
            self._due = self._clock.monotonic() + SPEAK_EVERY_S
        return self._clock.wait(stop, seconds, *descriptors)
