"""Wait for a device: woken by the kernel's events of block devices, and by looking again.

Events come by pyudev, straight from the kernel, so that it works without udevd too. An event is
no more than a reason to look.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Optional, TypeVar

from waagent.core.clock import Stop
from waagent.core.system import System
from waagent.resourcedisk.errors import ResourceDiskError

if TYPE_CHECKING:
    import pyudev

log = logging.getLogger(__name__)

T = TypeVar("T")
ATTEMPTS = 5
PAUSE_S = 5.0
LOOK_EVERY_S = 1.0


def await_device(
    system: System,
    stop: Optional[Stop],
    look: Callable[[], Optional[T]],
    tell: Callable[[int], None],
) -> Optional[T]:
    """What ``look`` finds within five times five seconds, or ``None``.

    ``tell`` is called before each of the five, with how many are left (spec DAEMON 2.4).
    """
    found = look()
    if found is not None:
        return found
    with _block_events(system) as events:
        for left in range(ATTEMPTS, 0, -1):
            found = look()
            if found is not None:
                return found
            tell(left)
            deadline = system.clock.monotonic() + PAUSE_S
            while found is None and system.clock.monotonic() < deadline:
                left_s = min(deadline - system.clock.monotonic(), LOOK_EVERY_S)
                if system.clock.wait(stop, left_s, *events.descriptors):
                    raise ResourceDiskError("cannot wait for a device: the agent is told to stop")
                events.drain()
                found = look()
            if found is not None:
                return found
    return None


class BlockEvents:
    """Events of block devices since this was made; none where they cannot be heard."""

    def __init__(self, monitor: Optional[pyudev.Monitor] = None) -> None:
        self._monitor = monitor

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What becomes readable when there is an event."""
        return () if self._monitor is None else (self._monitor.fileno(),)

    def drain(self) -> None:
        """Take what is there; what it says does not matter."""
        with contextlib.suppress(OSError):  # too many for the buffer: it is looked again anyway
            while self._monitor is not None and self._monitor.poll(timeout=0) is not None:
                pass


@contextlib.contextmanager
def _block_events(system: System) -> Iterator[BlockEvents]:
    if system.root != Path("/"):  # a folder has no kernel
        yield BlockEvents()
        return
    try:
        import pyudev

        monitor = pyudev.Monitor.from_netlink(pyudev.Context(), source="kernel")
        monitor.filter_by("block")
        monitor.start()
    except (ImportError, OSError) as error:  # ImportError: there is no libudev
        log.info("Looking for the device each second, udev cannot be listened to: %s", error)
        yield BlockEvents()
        return
    yield BlockEvents(monitor)
