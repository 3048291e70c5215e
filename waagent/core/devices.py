"""What only ioctl(2) can ask of a device: here, a disc drive to open (linux/cdrom.h)."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Callable

CDROM_LOCKDOOR = 0x5329
CDROMEJECT = 0x5309
UNLOCKED = 0

Control = Callable[[int, int, int], object]
"""ioctl(2): descriptor, request, argument."""


def eject_disc(device: Path, control: Control = fcntl.ioctl) -> None:
    """Unlock the drive and eject what is in it; an ``OSError`` if it is no such drive."""
    descriptor = os.open(device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # a drive whose door has no lock
            control(descriptor, CDROM_LOCKDOOR, UNLOCKED)
        control(descriptor, CDROMEJECT, 0)
    finally:
        os.close(descriptor)
