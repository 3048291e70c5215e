"""Mount the resource disk where the configuration wants it; formats nothing.

Source: spec DAEMON 2.3 (the mount point), 2.4.
"""

from __future__ import annotations

import logging
from typing import Optional

from waagent.core import files
from waagent.core.commands import Result
from waagent.core.errors import GuestError
from waagent.core.mounts import Mount
from waagent.core.records import dataclass
from waagent.core.system import System
from waagent.resourcedisk import usage
from waagent.resourcedisk.errors import ResourceDiskError
from waagent.resourcedisk.partition import attempt, one_line

log = logging.getLogger(__name__)

MOUNT_WITHIN_S = 300.0
FILESYSTEMS = "/proc/filesystems"
README = "DATALOSS_WARNING_README.txt"
WARNING = """\
WARNING: THIS IS A TEMPORARY DISK.

Whatever is stored here can be lost at any time, and cannot be recovered: when the virtual machine
is moved to other hardware, resized, stopped and deallocated, or redeployed, it gets an empty disk.

Do not keep anything here that you cannot do without. Page and swap files, caches and scratch data
are what this disk is for; data belongs on a data disk.

More: https://learn.microsoft.com/azure/virtual-machines/managed-disks-overview#temporary-disk
"""


@dataclass(frozen=True)
class Wish:
    """What is to be mounted, where and how."""

    partition: str
    point: str
    filesystem: str
    options: Optional[str]

    @property
    def command(self) -> tuple[str, ...]:
        """The command that does it."""
        options = ("-o", self.options) if self.options else ()
        return ("mount", "-t", self.filesystem, *options, self.partition, self.point)


def find_mount(system: System, disk: str, wanted: str) -> Optional[Mount]:
    """Where the disk is mounted already, best where it is wanted; a disk of the system's raises."""
    mounts = usage.mounts_of(system, disk)
    for mount in mounts:
        if str(mount.point) == wanted and not usage.is_system_folder(wanted):
            return mount
    for mount in mounts:
        if usage.is_system_folder(str(mount.point)):
            raise ResourceDiskError(
                f"cannot use /dev/{disk} as resource disk: the system's {mount.point} is on it"
            )
    return mounts[0] if mounts else None


def ensure_mount_point(system: System, point: str) -> None:
    """Make the folder, 0755; raises where something else is mounted there or must not be hidden."""
    if usage.is_system_folder(point):
        raise ResourceDiskError(
            f"cannot mount the resource disk at {point}, which belongs to the system;"
            " change ResourceDisk.MountPoint"
        )
    try:
        files.ensure_directory(system.path(point), mode=0o755)
    except (OSError, GuestError) as error:
        log.error("Failed to create mount point directory [%s]: %s", point, error)
        raise ResourceDiskError(f"cannot make the mount point {point}: {error}") from error
    there = next((one for one in usage.read_mounts(system) if str(one.point) == point), None)
    if there is not None:
        raise ResourceDiskError(
            f"cannot mount the resource disk at {point}: {there.source} is mounted there;"
            " change ResourceDisk.MountPoint"
        )


def try_to_mount(system: System, disk: str, wish: Wish) -> Result:
    """Mount; the table of mounts is what says whether it is mounted, not the exit code alone."""
    log.info("Mount resource disk [%s]", " ".join(wish.command))
    result = attempt(system, *wish.command, timeout_s=MOUNT_WITHIN_S)
    if not result.ok and any(str(one.point) == wish.point for one in usage.mounts_of(system, disk)):
        log.warning("Could not mount resource disk: %s", one_line(result))
        return Result(result.argv, 0, result.stdout, result.stderr)
    return result


def why_not_damaged(system: System, wish: Wish) -> Optional[str]:
    """Why a file system that cannot be mounted is still whole, or ``None`` if it is damaged.

    A mistake in the options, a missing driver or a slow disk must never cost the data.
    """
    known = files.read_if_there(system.path(FILESYSTEMS)) or ""
    if wish.filesystem not in known.split():
        return f"this kernel has no {wish.filesystem}; is its module installed?"
    plain = ("mount", "-t", wish.filesystem, "-o", "ro", wish.partition, wish.point)
    result = attempt(system, *plain, timeout_s=MOUNT_WITHIN_S)
    if result.ok:
        attempt(system, "umount", wish.point, timeout_s=MOUNT_WITHIN_S)
        return "it can be mounted read-only; are ResourceDisk.MountOptions right?"
    return None if result.code > 0 else one_line(result)


def write_readme(system: System, point: str) -> None:
    """Say on the disk that it is temporary; a disk that does not take it is no failure."""
    path = system.path(point) / README
    if files.read_if_there(path) == WARNING:
        return
    try:
        files.write(path, WARNING)
    except OSError as error:
        log.warning("Failed to write data loss warning:%s", error)
