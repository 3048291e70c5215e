"""Start a process of ours, watch it to its end, stop it when we are told to stop."""

from __future__ import annotations

import logging
import signal
from typing import Callable, Optional

from waagent.core.clock import Clock, Stop
from waagent.core.commands import Child
from waagent.core.records import dataclass

log = logging.getLogger(__name__)

STOP_WITHIN_S = 3.0
DIE_WITHIN_S = 2.0
LOOK_EVERY_S = 1.0
SOON_S = 0.05


@dataclass(frozen=True)
class End:
    """How a child ended, and after how long; ``code`` is ``None`` if we stopped it."""

    code: Optional[int]
    lived_s: float


def watch(
    child: Child,
    clock: Clock,
    stop: Stop,
    *,
    every_s: float,
    beat: Callable[[], None],
    wakes: Callable[[], tuple[int, ...]] = tuple,
) -> End:
    """Wait for the child's end; when told to stop, end it first, within ``STOP_WITHIN_S``.

    ``beat`` is called at least every ``every_s`` seconds, when one of the descriptors that
    ``wakes`` names speaks, and before the child is ended. The kernel tells of the exit where it has
    pidfds; elsewhere it is looked for each second.
    """
    started = clock.monotonic()
    descriptor = child.descriptor()
    period = every_s if descriptor is not None else min(every_s, LOOK_EVERY_S)
    while True:
        code = child.poll()
        if code is not None:
            return End(code, clock.monotonic() - started)
        beat()
        if clock.wait(stop, period, *_listed(descriptor), *wakes()):
            beat()
            end(child, clock)
            return End(None, clock.monotonic() - started)


def end(child: Child, clock: Clock) -> None:
    """Ask the child to end; after ``STOP_WITHIN_S`` it is killed.

    One that does not even die of that, because it hangs in the kernel, is left behind.
    """
    log.info("Forwarding signal %d to process %d", signal.SIGTERM, child.pid)
    child.send(signal.SIGTERM)
    if _ends_within(child, clock, STOP_WITHIN_S):
        return
    log.warning("Process %d did not end within %g s and is killed", child.pid, STOP_WITHIN_S)
    child.send(signal.SIGKILL)
    if not _ends_within(child, clock, DIE_WITHIN_S):
        log.warning("Process %d hangs in the kernel and is left behind", child.pid)


def _ends_within(child: Child, clock: Clock, seconds: float) -> bool:
    deadline = clock.monotonic() + seconds
    while child.poll() is None:
        left_s = deadline - clock.monotonic()
        if left_s <= 0:
            return False
        descriptor = child.descriptor()
        clock.wait(None, left_s if descriptor is not None else SOON_S, *_listed(descriptor))
    return True


def _listed(descriptor: Optional[int]) -> tuple[int, ...]:
    return () if descriptor is None else (descriptor,)
