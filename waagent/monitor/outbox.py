"""Events on their way from the collectors to the sender: a queue with an end.

When it is full the collectors leave their files where they are, so nothing is lost to it.
"""

from __future__ import annotations

import threading
from collections import deque

from waagent.core.clock import Bell
from waagent.protocol.documents.telemetry import TelemetryEvent

LIMIT = 4000  # several full spools; some 8 MB at the size that events have


class Outbox:
    """A bounded queue for one sender and any number of collectors."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._waiting: deque[TelemetryEvent] = deque()
        self.bell = Bell()
        """Rings when there is something to be sent."""

    def __len__(self) -> int:
        return len(self._waiting)

    def is_full(self) -> bool:
        """Whether a collector has to wait."""
        return len(self._waiting) >= self._limit

    def put(self, event: TelemetryEvent) -> None:
        """Add an event; a collector asks ``is_full`` before it takes a file away."""
        with self._lock:
            if not self._waiting:
                self.bell.ring()
            self._waiting.append(event)

    def take_all(self) -> list[TelemetryEvent]:
        """Everything that waits, oldest first."""
        with self._lock:
            taken = list(self._waiting)
            self._waiting.clear()
        return taken
