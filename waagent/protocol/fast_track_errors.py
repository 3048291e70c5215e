"""How asking for vmSettings goes, told in bounds: three errors an hour, and a summary.

Source: spec WIRE 4.7. What an error means for the goal state is said in ``fast_track.py``.
"""

from __future__ import annotations

import enum
import json
import logging
from collections import Counter

from waagent.core.clock import Clock
from waagent.core.events import Events, Op

log = logging.getLogger(__name__)

PERIOD_S = 3600.0
TOLD_A_PERIOD = 3


class Category(enum.Enum):
    """The kinds of failure; the values are wire text."""

    CLIENT = "ClientError"
    SERVER = "ServerError"
    OTHER_STATUS = "HttpError"
    TIMEOUT = "Timeout"
    REQUEST = "RequestFailed"


def category_of_status(status: int) -> Category:
    """The kind of an answer that is no success."""
    if 400 <= status < 500:
        return Category.CLIENT
    return Category.SERVER if 500 <= status < 600 else Category.OTHER_STATUS


class FastTrackErrors:
    """Counts requests and errors of one period."""

    def __init__(self, events: Events, clock: Clock) -> None:
        self._events = events
        self._clock = clock
        self._start_anew()

    def count_request(self) -> None:
        """One more request."""
        self._requests += 1

    def count(self, category: Category, text: str) -> None:
        """One more error; only the first of a period are sent one by one."""
        self._errors[category] += 1
        if sum(self._errors.values()) <= TOLD_A_PERIOD:
            self._events.add(Op.VM_SETTINGS, f"[{category.value}] {text}")

    def report_if_due(self) -> None:
        """Send the summary once an hour."""
        if self._clock.monotonic() < self._ends:
            return
        errors = sum(self._errors.values())
        summary = json.dumps(
            {
                "requests": self._requests,
                "errors": errors,
                "serverErrors": self._errors[Category.SERVER],
                "clientErrors": self._errors[Category.CLIENT],
                "timeouts": self._errors[Category.TIMEOUT],
                "failedRequests": self._errors[Category.REQUEST],
            }
        )
        self._events.add(Op.VM_SETTINGS_SUMMARY, summary)
        if errors:
            log.info("Asking for vmSettings in the last hour: %s", summary)
        self._start_anew()

    def _start_anew(self) -> None:
        self._requests = 0
        self._errors: Counter[Category] = Counter()
        self._ends = self._clock.monotonic() + PERIOD_S
