"""Time that runs fast, and wall time that jumps as somebody from outside says."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Optional

from waagent.core.clock import Stop, SystemClock


class FastClock(SystemClock):
    """A second of it is a fraction of a real one; its wall time is off by what a file says.

    All that measures and waits by the clock is quicker by the same factor: periods, deadlines,
    time limits. Sockets and what the agent's helpers do keep to real time.
    """

    def __init__(self, speed: float, offset: Path) -> None:
        self._speed = speed
        self._offset = offset

    def now(self) -> datetime:
        """The wall time of a machine whose clock somebody has set."""
        seconds = 0.0
        with contextlib.suppress(FileNotFoundError):
            seconds = float(self._offset.read_text(encoding="ascii"))
        return super().now() + timedelta(seconds=seconds)

    def monotonic(self) -> float:
        """Fast seconds that never go back."""
        return super().monotonic() * self._speed

    def wait(self, stop: Optional[Stop], seconds: float, *descriptors: int) -> bool:
        """See ``Clock.wait``."""
        return super().wait(stop, seconds / self._speed, *descriptors)
