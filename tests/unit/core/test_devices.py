"""Opening a drive through the kernel, with a door that is scripted."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from waagent.core.devices import CDROM_LOCKDOOR, CDROMEJECT, eject_disc


@dataclass
class Door:
    """Takes ioctls as a drive does; ``refused`` are those that it knows nothing of."""

    device: Path
    refused: tuple[int, ...] = ()
    asked: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, descriptor: int, request: int, argument: int) -> int:
        """See ioctl(2)."""
        assert Path(f"/proc/self/fd/{descriptor}").resolve() == self.device.resolve()
        self.asked.append((request, argument))
        if request in self.refused:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        return 0


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "sr0"
    path.touch()
    return path


def test_door_is_unlocked_before_the_disc_is_ejected(device: Path) -> None:
    door = Door(device)
    eject_disc(device, door)
    assert door.asked == [(CDROM_LOCKDOOR, 0), (CDROMEJECT, 0)]


def test_door_without_a_lock_is_opened_all_the_same(device: Path) -> None:
    door = Door(device, refused=(CDROM_LOCKDOOR,))
    eject_disc(device, door)
    assert door.asked[-1] == (CDROMEJECT, 0)


def test_door_that_does_not_open_is_an_error_and_the_device_is_closed(device: Path) -> None:
    door = Door(device, refused=(CDROMEJECT,))
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        eject_disc(device, door)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_kernel_says_that_a_file_is_no_drive(device: Path) -> None:
    with pytest.raises(OSError, match="Inappropriate ioctl for device"):
        eject_disc(device)
