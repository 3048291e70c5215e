"""What a disk is used for right now: mounts, swap, device mapper, RAID, btrfs.

A disk that is in use is never changed. Source: spec DAEMON 2.2.
"""

from __future__ import annotations

import errno
import os
from typing import Optional

from waagent.core import files
from waagent.core.mounts import Mount, parse_mounts, unescape
from waagent.core.records import dataclass
from waagent.core.system import System
from waagent.resourcedisk.errors import ResourceDiskError

MOUNTS = "/proc/self/mountinfo"
SWAPS = "/proc/swaps"
BLOCK = "/sys/class/block"
BTRFS = "/sys/fs/btrfs"
LARGEST = 4096
SYSTEM_FOLDERS = (
    *("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/proc", "/root"),
    *("/run", "/sbin", "/sys", "/usr", "/var", "/var/lib", "/var/log"),
)
"""Nothing that is mounted here is temporary; nor is anything mounted here over what there is."""
_BELOW = ("/boot/", "/dev/", "/etc/", "/lib/", "/proc/", "/sys/", "/usr/")


@dataclass(frozen=True)
class Swap:
    """An active swap area: a file or a partition."""

    path: str
    kind: str


def partition_name(disk: str, number: int) -> str:
    """``sdb1``, but ``nvme0n1p1``: a digit comes before a digit."""
    return f"{disk}p{number}" if disk[-1:].isdigit() else f"{disk}{number}"


def parse_swaps(text: str) -> tuple[Swap, ...]:
    """The lines of /proc/swaps below its heading."""
    rows = (line.split() for line in text.split("\n")[1:])
    return tuple(Swap(unescape(row[0]), row[1]) for row in rows if len(row) >= 2)


def read_mounts(system: System) -> tuple[Mount, ...]:
    """Everything that is mounted for us, oldest first."""
    try:
        return parse_mounts(files.read_text(system.path(MOUNTS)))
    except OSError as error:
        raise ResourceDiskError(
            f"cannot tell what is mounted: {error.strerror}; is /proc mounted?"
        ) from error


def read_swaps(system: System) -> tuple[Swap, ...]:
    """Everything that is swapped to; nothing where the kernel has no swap."""
    return parse_swaps(files.read_if_there(system.path(SWAPS)) or "")


def attribute(system: System, name: str, what: str) -> str:
    """What sysfs says of a block device, or nothing."""
    return (files.read_if_there(system.path(f"{BLOCK}/{name}/{what}"), limit=LARGEST) or "").strip()


def is_there(system: System, disk: str) -> bool:
    """Whether the kernel still has the disk, and its node exists."""
    return system.path(f"{BLOCK}/{disk}").is_dir() and system.path(f"/dev/{disk}").exists()


def names_of(system: System, disk: str) -> tuple[str, ...]:
    """The kernel's names of the disk and of its partitions."""
    folder = system.path(f"{BLOCK}/{disk}")
    try:
        below = sorted(entry.name for entry in folder.iterdir() if entry.name.startswith(disk))
    except OSError as error:
        raise ResourceDiskError(f"cannot use {disk}: the kernel has no such disk") from error
    return (disk, *(name for name in below if attribute(system, name, "partition")))


def mounts_of(system: System, disk: str) -> tuple[Mount, ...]:
    """What of the disk is mounted: by its number, or by its name where that has another number.

    btrfs has numbers of its own. Names are compared as a whole: sda is no part of sdac.
    """
    names = names_of(system, disk)
    numbers = {attribute(system, name, "dev") for name in names} - {""}
    nodes = {f"/dev/{name}" for name in names}
    return tuple(
        mount
        for mount in read_mounts(system)
        if mount.device in numbers or _real_name(system, mount.source) in nodes
    )


def is_system_folder(path: str) -> bool:
    """Whether a path belongs to the machine, so that no temporary disk is there."""
    return path in SYSTEM_FOLDERS or path.startswith(_BELOW)


def find_claim(system: System, disk: str) -> Optional[str]:
    """Who uses the disk or a part of it, in words, or ``None``; mounts of ours count too."""
    names = names_of(system, disk)
    for mount in mounts_of(system, disk):
        return f"{mount.source} is mounted at {mount.point}"
    nodes = {f"/dev/{name}" for name in names}
    for swap in read_swaps(system):
        if _real_name(system, swap.path) in nodes:
            return f"{swap.path} is swap"
    for name in names:
        holders = _entries(system, f"{BLOCK}/{name}/holders")
        if holders:
            return f"{name} is part of {', '.join(holders)}"
    for pool in _entries(system, BTRFS):
        if set(_entries(system, f"{BTRFS}/{pool}/devices")) & set(names):
            return f"it is part of the btrfs file system {pool}"
    return _exclusive_claim(system, disk)


def _exclusive_claim(system: System, disk: str) -> Optional[str]:
    """The kernel's own answer, which also knows of mounts in other namespaces: open(2), O_EXCL."""
    try:
        descriptor = os.open(system.path(f"/dev/{disk}"), os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.EBUSY:
            return "the kernel says that it is in use"
        raise ResourceDiskError(f"cannot open /dev/{disk}: {error.strerror}") from error
    os.close(descriptor)
    return None


def _entries(system: System, folder: str) -> list[str]:
    try:
        return sorted(entry.name for entry in system.path(folder).iterdir())
    except OSError:  # not there: nobody
        return []


def _real_name(system: System, path: str) -> str:
    if not path.startswith("/dev/"):
        return path
    return system.within(system.path(path))
