"""One fault on one group of endpoints, with the real child process, in real time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from tests.fabric import ECHO, Fabric
from tests.fabric.model import FAST_TRACK_FABRIC
from tests.outages.real import RealChild

GROUPS = ("everything", "wire.", "hgap.", "storage.", "imds.")
BACK_WITHIN_S = 150.0
FIRST_WITHIN_S = 60.0
MOST_A_SECOND = 8.0
"""Requests: a loop, a monitor, a sender and a reporter are each throttled to one a second."""
MOST_AT_ONCE = 60
"""What a new goal state brings, and a monitor that has just started."""


@dataclass(frozen=True)
class Lived:
    """How the child lived through a fault."""

    requests: int
    cpu_s: float
    back_after_s: float
    stopped_after_s: float

    def row(self) -> str:
        """For the table."""
        return (
            f"{self.requests} | {self.cpu_s:.2f} | {self.back_after_s:.0f} |"
            f" {self.stopped_after_s:.2f}"
        )


def live_through(root: Path, fault: str, group: str, *, seconds: float, conf: str = "") -> Lived:
    """Fault on with a new goal state; off again with another, which has to be reported as done.

    Raises ``AssertionError`` where the child dies, asks too much, or does not come back.
    """
    with Fabric() as fabric:
        fabric.platform.set_fast_track(FAST_TRACK_FABRIC)
        with RealChild(root, fabric, conf=conf) as child:
            fabric.await_extension(ECHO, seq_no=0, within_s=FIRST_WITHIN_S)
            since, cpu_s, began = child.requests(), child.cpu_s(), time.monotonic()
            fabric.fault("" if group == "everything" else group, fault)
            fabric.portal.update_extension(ECHO, version="1.1.0")
            while time.monotonic() - began < seconds:
                assert child.is_alive(), child.log()
                child.pause(0.5)
            requests, cpu_s = child.requests() - since, child.cpu_s() - cpu_s
            assert requests < MOST_AT_ONCE + MOST_A_SECOND * seconds, "it asks without measure"
            fabric.clear_faults()
            fabric.portal.update_settings(ECHO, {"echo": "again"})
            cleared = time.monotonic()
            fabric.await_extension(ECHO, seq_no=1, version="1.1.0", within_s=BACK_WITHIN_S)
            back_after_s = time.monotonic() - cleared
            assert child.is_alive(), child.log()
    return Lived(requests, cpu_s, back_after_s, child.stopped_after_s)
