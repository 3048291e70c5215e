"""Back-off policies as values, and the one loop that follows them (spec WIRE 2.8)."""

from __future__ import annotations

import enum
import random
from collections.abc import Iterator
from typing import Callable, Optional, TypeVar

from waagent.core.clock import Clock, Stop
from waagent.core.errors import AgentError
from waagent.core.records import dataclass

T = TypeVar("T")
LONGEST_S = 600.0
JITTER = 0.8


class Verdict(enum.Enum):
    """What an error means for the attempt that raised it."""

    FINAL = "final"
    AGAIN = "again"
    THROTTLED = "throttled"


@dataclass(frozen=True)
class Policy:
    """How often to try, and how long to wait in between (seconds).

    Waits grow as ``delay_s`` times 2, 3, 5, 8, ... (Fibonacci) up to ``longest_s``: the last of 30
    attempts would otherwise be waited for half a year. Those longest ones are our own choice, so
    they are drawn, from JITTER of the longest on: machines that lost the fabric at the same moment
    must not come back in step. Once the peer says that we ask too often, every wait is
    ``throttled_delay_s`` and there are at least ``throttled_attempts``. ``None`` there keeps the
    number of attempts.
    """

    attempts: int = 6
    delay_s: float = 1.0
    throttled_delay_s: float = 1.0
    throttled_attempts: Optional[int] = 25
    longest_s: float = LONGEST_S

    def waits(self) -> Iterator[float]:
        """The waits before the second attempt, the third, and so on, without end."""
        here, following = 2, 3
        while True:
            wait_s = self.delay_s * here
            if wait_s > self.longest_s:
                wait_s = self.longest_s * random.uniform(JITTER, 1.0)
            yield wait_s
            here, following = following, here + following


ONCE = Policy(attempts=1)
DEFAULT = Policy()


def call(
    once: Callable[[], T],
    judge: Callable[[AgentError], Verdict],
    *,
    policy: Policy,
    clock: Clock,
    stop: Optional[Stop] = None,
) -> T:
    """The first success of ``once``; else the last error, when it is final or attempts are over.

    A stop request ends the waiting, and the error that was being waited for is raised.
    """
    attempts = policy.attempts
    throttled = False
    waits = policy.waits()
    made = 0
    while True:
        made += 1
        try:
            return once()
        except AgentError as error:
            verdict = judge(error)
            if verdict is Verdict.FINAL:
                raise
            if verdict is Verdict.THROTTLED:
                throttled = True
                attempts = max(attempts, policy.throttled_attempts or 0)
            wait_s = next(waits)
            if made >= attempts or clock.wait(
                stop, policy.throttled_delay_s if throttled else wait_s
            ):
                error.facts["attempts"] = made
                raise
