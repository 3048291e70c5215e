"""The provisioning media: find the device, mount it, read from it, unmount, eject.

What is on it, and when it is no longer needed, is for the provisioning room to say (decision 9).
Source: spec DAEMON 4.1 to 4.3.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Optional

from waagent.core import devices, files, retry
from waagent.core.clock import Stop
from waagent.core.errors import AgentError, GuestError
from waagent.core.mounts import unescape
from waagent.core.system import System
from waagent.guest.filesystems import find_obstacles

log = logging.getLogger(__name__)

FILE_SYSTEMS = "udf,iso9660,vfat"
MODULES = ("udf", "iso9660")
TRIES = 5
PAUSE_S = 5.0
LARGEST_FILE = 16 * 1024 * 1024
MOUNTS = "/proc/mounts"
# In the order of preference: a virtio disk may as well be somebody's data.
_PATTERNS = tuple(
    re.compile(text) for text in (r"sr\d", r"cdrom\d", r"cd\d", r"hd[c-z]", r"vd[b-z]")
)


def find_device(system: System) -> Optional[Path]:
    """The device of the media, or ``None``."""
    folder = system.path("/dev")
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    for pattern in _PATTERNS:
        for name in names:
            match = pattern.match(name)
            if match and (folder / match[0]).exists():
                return folder / match[0]
    return None


def find_mount_point(system: System, device: Path) -> Optional[Path]:
    """Where the device is mounted, or ``None``; the device's name is compared as a whole."""
    wanted = system.within(device)
    for line in (files.read_if_there(system.path(MOUNTS)) or "").splitlines():
        words = line.split()
        if len(words) >= 2 and unescape(words[0]) == wanted:
            return system.path(unescape(words[1]))
    return None


def mount(system: System, device: Path, mount_point: Path, *, stop: Optional[Stop] = None) -> Path:
    """Mount the media for reading, five times if need be; where it is mounted.

    One that is mounted already stays where it is.
    """
    there = find_mount_point(system, device)
    if there is not None:
        log.info("%s is already mounted at %s", system.within(device), system.within(there))
        return there
    files.ensure_directory(mount_point)
    name, folder = system.within(device), system.within(mount_point)
    tries = 0

    def once() -> None:
        system.run("mount", "-o", "ro", "-t", FILE_SYSTEMS, name, folder, timeout_s=60.0).check()

    def judge(error: AgentError) -> retry.Verdict:
        nonlocal tries
        tries += 1
        log.warning(
            "Mounting dvd failed [retry %d/%d, sleeping %d sec]: %s",
            tries,
            TRIES,
            PAUSE_S,
            " ".join(str(error).split()),
        )
        return retry.Verdict.THROTTLED  # the same pause every time

    policy = retry.Policy(attempts=TRIES, throttled_delay_s=PAUSE_S, throttled_attempts=None)
    try:
        retry.call(once, judge, policy=policy, clock=system.clock, stop=stop)
    except AgentError as error:
        obstacles = find_obstacles(system, MODULES)
        for obstacle in obstacles:
            log.warning("Cannot mount some media: %s", obstacle)
        why = "; ".join(obstacles) or "the image needs the kernel modules udf and iso9660"
        raise GuestError(f"cannot mount the provisioning media {name}: {error}; {why}") from error
    log.info("Successfully mounted dvd")
    return mount_point


def read_file(mount_point: Path, name: str) -> Optional[bytes]:
    """A file of the mounted media, or ``None`` if it is not on it."""
    try:
        return files.read(mount_point / name, limit=LARGEST_FILE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise GuestError(
            f"cannot read {name} from the provisioning media: {error.strerror}"
        ) from error


def unmount(system: System, mount_point: Path) -> None:
    """Unmount the media; a ``GuestError`` if it is in use."""
    name = system.within(mount_point)
    result = system.run("umount", name, timeout_s=60.0)
    if not result.ok:
        raise GuestError(
            f"cannot unmount the provisioning media at {name}: {' '.join(result.output.split())}"
        )


def eject(system: System, device: Path) -> bool:
    """Eject the media, whether there is a drive that does; a virtio disk has none.

    Only for when its content is used: nothing brings it back. Minimal images have no ``eject``:
    there the kernel is asked.
    """
    if device.name.startswith("vd"):
        return False
    name = system.within(device)
    if not system.has_command("eject"):
        try:
            devices.eject_disc(device)
        except OSError as error:
            raise GuestError(
                f"cannot eject the provisioning media {name} by ioctl: {error.strerror}"
            ) from error
        return True
    result = system.run("eject", name, timeout_s=60.0)
    if not result.ok:
        raise GuestError(
            f"cannot eject the provisioning media {name}: {' '.join(result.output.split())}"
        )
    return True
