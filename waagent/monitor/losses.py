"""What was lost on the way to the fabric: counted, with the first reasons, and reported."""

from __future__ import annotations

from waagent.core.events import Events, Op

MAX_REASONS = 5
MAX_REASON = 512


class Losses:
    """Counts what one stage lost since its last report."""

    def __init__(self, op: Op) -> None:
        self._op = op
        self._count = 0
        self._reasons: list[str] = []

    def add(self, reason: str, count: int = 1) -> None:
        """Count a loss; of the reasons the first five different ones are kept."""
        self._count += count
        short = reason[:MAX_REASON]
        if len(self._reasons) < MAX_REASONS and short not in self._reasons:
            self._reasons.append(short)

    def report(self, events: Events) -> None:
        """Tell the fabric, if there is something to tell, and start anew."""
        if not self._count:
            return
        message = (
            f"DroppedEventsCount: {self._count}\n"
            f"Reasons (first {MAX_REASONS} errors): {', '.join(self._reasons)}"
        )
        self._count = 0
        self._reasons = []
        events.add(self._op, message, success=False)
