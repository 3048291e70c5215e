"""Empty folders of ours without ever leaving them: no link is followed, no mount is entered.

What is removed is looked up from open folders, so that nobody can put a link in the way.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Collection
from pathlib import Path

from waagent.core.errors import GuestError
from waagent.core.mounts import mount_of, mounts_from, read_mounts
from waagent.core.records import dataclass

MAX_DEPTH = 200
PASS_ATTEMPTS = 3
MOUNTED = "something is mounted there"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Left:
    """Something that is still there, and why."""

    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.path}: {self.why}"


@dataclass(frozen=True)
class Cleared:
    """What became of a folder's content: how much went, what was spared, what would not go."""

    removed: int = 0
    spared: tuple[Left, ...] = ()
    failed: tuple[Left, ...] = ()


def empty_folder(
    folder: Path, *, last: Collection[str] = (), keep: Collection[str] = ()
) -> Cleared:
    """Remove all that is in a folder; the folder itself stays. One that is not there is empty.

    Names in ``last`` go when all others are gone, those in ``keep`` stay. A link is removed, what
    it points to stays; what is mounted in the folder stays and is named. A folder that is itself
    a link or a mount point is refused with a ``GuestError``, one in memory alone is spared.
    """
    at_folder = [each for each in mounts_from(read_mounts(), folder) if each.point == folder]
    if at_folder:
        if not at_folder[-1].is_in_memory:
            raise GuestError(
                f'cannot empty "{folder}": it is {at_folder[-1]}; unmount that, or empty it by hand'
            )
        return Cleared(spared=(Left(str(folder), f"{at_folder[-1]}, gone with the power"),))
    try:
        descriptor = os.open(folder, _FOLDER)
    except FileNotFoundError:
        return Cleared()
    except OSError as error:
        raise GuestError(
            f'cannot empty "{folder}": {error.strerror}; it has to be a folder, and no link'
        ) from error
    broom = _Broom()
    try:
        broom.sweep(descriptor, str(folder), {*last, *keep})
        broom.take(descriptor, str(folder), [name for name in last if name not in keep])
        with contextlib.suppress(OSError):  # some file systems cannot say so
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return Cleared(broom.removed, tuple(broom.spared), tuple(broom.failed))


def remove_folder(folder: Path) -> Cleared:
    """Empty a folder, as ``empty_folder`` does, and remove it if nothing had to stay."""
    cleared = empty_folder(folder)
    if not cleared.spared and not cleared.failed:
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()
    return cleared


class _Broom:
    def __init__(self) -> None:
        self.removed = 0
        self.spared: list[Left] = []
        self.failed: list[Left] = []

    def sweep(self, folder: int, path: str, keep: Collection[str] = (), depth: int = 0) -> None:
        """All but ``keep``; again, if somebody still writes there."""
        before = (len(self.spared), len(self.failed))
        for _ in range(PASS_ATTEMPTS):
            names = [name for name in os.listdir(folder) if name not in keep]
            if not names:
                return
            self.take(folder, path, names, depth)
            if (len(self.spared), len(self.failed)) != before:
                return
        if any(name not in keep for name in os.listdir(folder)):
            self.failed.append(Left(path, "somebody writes to it as fast as it is emptied"))

    def take(self, folder: int, path: str, names: Collection[str], depth: int = 0) -> None:
        for name in sorted(names):
            place = f"{path}/{name}"
            try:
                state = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISDIR(state.st_mode):
                    self._take_folder(folder, name, place, depth)
                else:
                    os.unlink(name, dir_fd=folder)
                    self.removed += 1
            except FileNotFoundError:
                continue
            except OSError as error:
                self._leave(place, error)

    def _take_folder(self, parent: int, name: str, place: str, depth: int) -> None:
        if depth >= MAX_DEPTH:
            self.failed.append(Left(place, f"it is nested more than {MAX_DEPTH} deep"))
            return
        descriptor = os.open(name, _FOLDER, dir_fd=parent)
        try:
            mine, above = mount_of(descriptor), mount_of(parent)
            if mine != above:
                self.spared.append(Left(place, _name_mount(mine[0])))
                return
            before = (len(self.spared), len(self.failed))
            self.sweep(descriptor, place, depth=depth + 1)
            if (len(self.spared), len(self.failed)) != before:
                return
        finally:
            os.close(descriptor)
        os.rmdir(name, dir_fd=parent)
        self.removed += 1

    def _leave(self, place: str, error: OSError) -> None:
        if error.errno == errno.EBUSY:
            self.spared.append(Left(place, MOUNTED))
        else:
            self.failed.append(Left(place, error.strerror or str(error)))


def _name_mount(number: object) -> str:
    found = [str(each) for each in read_mounts() if each.number == number]
    return found[0] if found else "another file system"
