"""A loop device that holds a disc image and lets go of it by itself.

No program: losetup(8) cannot ask for a device that is freed when its last user is gone, and a
demonstration that is killed must leave none behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import threading
import time
from pathlib import Path

LOOP_SET_FD = 0x4C00
LOOP_SET_STATUS64 = 0x4C04
LOOP_CTL_GET_FREE = 0x4C82
READ_ONLY, AUTOCLEAR = 1, 4
_INFO = struct.Struct("QQQQQIIII64s64s32sQQ")
_TRIES = 10
RELEASE_WITHIN_S = 5.0


class LoopDevice:
    """An image as a block device, for as long as this object, or a mount, has it open."""

    def __init__(self, image: Path) -> None:
        backing = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._descriptor = _attach(backing, image.name)
        finally:
            os.close(backing)

    @property
    def number(self) -> int:
        """The device number, from which other nodes can be made."""
        return os.fstat(self._descriptor).st_rdev

    def close(self) -> None:
        """Let go; the kernel frees the device once it is mounted nowhere."""
        os.close(self._descriptor)


def await_release(image: str) -> bool:
    """Wait until no loop device holds an image; the kernel takes a moment after the last user."""
    limit = time.monotonic() + RELEASE_WITHIN_S
    while time.monotonic() < limit:
        if image not in held_images():
            return True
        threading.Event().wait(0.02)
    return False


def held_images() -> set[str]:
    """The files behind the loop devices of this machine."""
    found = set()
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):  # it is gone meanwhile
            found.add(path.read_text(encoding="utf-8").strip())
    return found


def _attach(backing: int, name: str) -> int:
    failure = OSError("no loop device was tried")
    for _ in range(_TRIES):  # another process may take the number that we were told
        control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
        try:
            number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
        finally:
            os.close(control)
        device = os.open(f"/dev/loop{number}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(device, LOOP_SET_FD, backing)
            numbers = (0, 0, 0, 0, 0, 0, 0, 0, READ_ONLY | AUTOCLEAR)
            info = _INFO.pack(*numbers, name.encode()[:63], b"", b"", 0, 0)
            fcntl.ioctl(device, LOOP_SET_STATUS64, info)
        except OSError as e:
            failure = e
            os.close(device)
            continue
        return device
    raise OSError(f"cannot attach {name} to a loop device: {failure}")
