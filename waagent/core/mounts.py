"""What is mounted where, as this process sees it: to tell a folder of ours from somebody's disk.

The mounts are those of our own process, whatever folder stands for the guest's ``/``.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from waagent.core import files
from waagent.core.errors import GuestError
from waagent.core.records import dataclass

TABLE = Path("/proc/self/mountinfo")
IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_MOUNT_ID = "mnt_id:"
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Mount:
    """A line of the table: the kernel's number, the place, what is there, and its file system.

    ``device`` is the number of what is there, as sysfs has it: ``8:17``.
    """

    number: int
    point: Path
    source: str
    kind: str
    device: str

    @property
    def is_in_memory(self) -> bool:
        """Whether what is in it is gone with the power."""
        return self.kind in IN_MEMORY

    def __str__(self) -> str:
        return f"a mount point of {self.source} ({self.kind})"


def parse_mounts(text: str) -> tuple[Mount, ...]:
    """The mounts of a mountinfo table (proc(5)); a line that cannot be read is left out."""
    found = []
    for line in text.split("\n"):  # a name may have what else ends a line in it
        before, _, after = line.partition(" - ")
        words, rest = before.split(" "), after.split(" ")
        if len(words) >= 5 and len(rest) >= 2 and words[0].isdecimal():
            point = Path(unescape(words[4]))
            found.append(Mount(int(words[0]), point, unescape(rest[1]), rest[0], words[2]))
    return tuple(found)


def read_mounts() -> tuple[Mount, ...]:
    """The mounts of this process; none where the kernel does not tell."""
    return parse_mounts(files.read_if_there(TABLE) or "")


def mounts_from(mounts: Iterable[Mount], folder: Path) -> tuple[Mount, ...]:
    """Those at a folder or below it."""
    real = Path(os.path.realpath(folder))
    return tuple(each for each in mounts if each.point == real or real in each.point.parents)


def mount_of(descriptor: int) -> tuple[Optional[int], int]:
    """What tells an open file's mount from any other: the kernel's number for it, and its device.

    The device alone does not tell a folder that is mounted a second time (``mount --bind``).
    """
    number = None
    with contextlib.suppress(OSError, GuestError, ValueError):
        text = files.read_text(Path(f"/proc/self/fdinfo/{descriptor}"))
        number = parse_mount_id(text)
    return number, os.fstat(descriptor).st_dev


def parse_mount_id(text: str) -> Optional[int]:
    """The kernel's number for the mount of an open file (proc(5), fdinfo); Linux 3.15 has it."""
    found = (line[len(_MOUNT_ID) :] for line in text.splitlines() if line.startswith(_MOUNT_ID))
    return next((int(number) for number in found), None)


def unescape(word: str) -> str:
    """A name as it is: in its tables the kernel escapes blanks, ``#`` and backslashes only."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), word)
