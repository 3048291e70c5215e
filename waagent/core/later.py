"""When something that failed is worth another attempt: pauses that double up to a bound.

For work that is looked at in every turn of a loop; ``retry.py`` is for what waits in place.
"""

from __future__ import annotations

from waagent.core.clock import Clock


class Later:
    """One thing that may fail, and from when on it may be tried again."""

    def __init__(self, clock: Clock, *, first_s: float, most_s: float) -> None:
        self._clock = clock
        self._first_s = first_s
        self._most_s = most_s
        self._pause_s = first_s
        self._from = clock.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether it may be tried now."""
        return self._clock.monotonic() >= self._from

    def postpone(self) -> None:
        """It failed, or has just been tried: not before the next pause is over."""
        self._from = self._clock.monotonic() + self._pause_s
        self._pause_s = min(self._pause_s * 2, self._most_s)

    def reset(self) -> None:
        """Nothing is known of failures: it may be tried at once, and pauses are short again."""
        self._pause_s = self._first_s
        self._from = self._clock.monotonic()
