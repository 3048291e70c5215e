"""The guest's clock and this machine's, related: pure.

A reading asks the guest for its uptime, and notes when it was asked and when the answer was there.
The guest's moment lies between the two; several readings narrow it down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RESOLUTION_S = 0.01  # /proc/uptime has two digits, and cuts off the rest


@dataclass(frozen=True)
class Reading:
    """The guest's uptime, between two moments of this machine's clock."""

    before: float
    uptime_s: float
    after: float


@dataclass(frozen=True)
class Relation:
    """`host = guest + offset`, give or take `uncertainty_s`.

    `drift` is how many seconds the offset moves in one second of the guest.
    """

    offset: float
    uncertainty_s: float
    at_uptime_s: float
    drift: float = 0.0

    def host_time(self, uptime_s: float) -> float:
        """A moment of the guest's monotonic clock on this machine's clock."""
        return uptime_s + self.offset + self.drift * (uptime_s - self.at_uptime_s)

    def uptime(self, host_time: float) -> float:
        """The reverse."""
        left = host_time - self.offset + self.drift * self.at_uptime_s
        return left / (1 + self.drift)


def relate(readings: Sequence[Reading]) -> Relation:
    """The offset that all readings allow; ones that contradict each other widen it."""
    if not readings:
        raise ValueError("cannot relate the clocks without a reading")
    lowest = max(r.before - r.uptime_s - RESOLUTION_S for r in readings)
    highest = min(r.after - r.uptime_s for r in readings)
    middle = sum(r.uptime_s for r in readings) / len(readings)
    return Relation((lowest + highest) / 2, abs(highest - lowest) / 2, middle)


def with_drift(first: Relation, later: Relation) -> Relation:
    """The first relation, with the drift that a later one shows.

    What the two cannot know better than this is added where it extrapolates to the boot.
    """
    apart = later.at_uptime_s - first.at_uptime_s
    if apart <= 0:
        return first
    drift = (later.offset - first.offset) / apart
    doubt = (first.uncertainty_s + later.uncertainty_s) / apart
    uncertainty = first.uncertainty_s + min(doubt, abs(drift)) * first.at_uptime_s
    return Relation(first.offset, uncertainty, first.at_uptime_s, drift)
