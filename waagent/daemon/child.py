"""Start a process of ours, watch it to its end, stop it when we are told to stop."""

from __future__ import annotations

import logging
import signal
from dataclasses import dataclass
from typing import Callable, Optional

from waagent.core.clock import Clock, Stop
from waagent.core.commands import Child

log = logging.getLogger(__name__)

STOP_WITHIN_S = 3.0
LOOK_EVERY_S = 1.0


@dataclass(frozen=True)
class End:
    """How a child ended, and after how long; ``code`` is ``None`` if we stopped it."""

    code: Optional[int]
    lived_s: float


def watch(
    child: Child, clock: Clock, stop: Stop, *, every_s: float, beat: Callable[[], None]
) -> End:
    """Wait for the child's end; when told to stop, end it first, within ``STOP_WITHIN_S``.

    ``beat`` is called at least every ``every_s`` seconds. The kernel tells of the exit where it
    has pidfds; elsewhere it is looked for each second.
    """
    started = clock.monotonic()
    descriptor = child.descriptor()
    period = every_s if descriptor is not None else min(every_s, LOOK_EVERY_S)
    while True:
        code = child.poll()
        if code is not None:
            return End(code, clock.monotonic() - started)
        beat()
        if clock.wait(stop, period, *_listed(descriptor)):
            end(child, clock)
            return End(None, clock.monotonic() - started)


def end(child: Child, clock: Clock) -> None:
    """Ask the child to end; after ``STOP_WITHIN_S`` it is killed."""
    log.info("Forwarding signal %d to process %d", signal.SIGTERM, child.pid)
    child.send(signal.SIGTERM)
    deadline = clock.monotonic() + STOP_WITHIN_S
    while child.poll() is None and clock.monotonic() < deadline:
        descriptor = child.descriptor()
        clock.wait(None, 0.1 if descriptor is None else STOP_WITHIN_S, *_listed(descriptor))
    if child.poll() is None:
        log.warning("Process %d did not end within %g s and is killed", child.pid, STOP_WITHIN_S)
        child.send(signal.SIGKILL)
        while child.poll() is None:
            clock.wait(None, 0.05)


def _listed(descriptor: Optional[int]) -> tuple[int, ...]:
    return () if descriptor is None else (descriptor,)
