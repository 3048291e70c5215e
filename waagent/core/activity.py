"""What this process is doing that takes its time, for whoever wants to know what it waits for.

One thread says so, the one that does the work. It is no log: what is over is forgotten.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from typing import Callable, Optional

from waagent.core.clock import Clock
from waagent.core.records import dataclass


@dataclass(frozen=True)
class Deed:
    """One thing that is being done: since when, by both clocks, and how long it may take."""

    what: str
    since: datetime
    began_s: float
    limit_s: Optional[float] = None


class Activity:
    """The deeds in progress, outermost first; tells one listener whenever they change."""

    def __init__(self) -> None:
        self.deeds: tuple[Deed, ...] = ()
        self.listener: Callable[[], None] = _nobody

    @contextlib.contextmanager
    def doing(self, clock: Clock, what: str, limit_s: Optional[float]) -> Iterator[None]:
        """While the block runs, that is what is being done."""
        before = self.deeds
        self.deeds = (*before, Deed(what, clock.now(), clock.monotonic(), limit_s))
        self.listener()
        try:
            yield
        finally:
            self.deeds = before
            self.listener()


def _nobody() -> None:
    pass
