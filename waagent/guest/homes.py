"""Writing as root where users may write too: no link that a user planted is ever followed.

A path is walked folder by folder on open descriptors, so it cannot change under our hands. Links
are followed only when root made them (/home itself is one on image-based systems).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from typing import Optional

from waagent.core.errors import GuestError
from waagent.core.rooted import MAX_LINKS
from waagent.core.system import System
from waagent.guest import selinux

LARGEST = 1024 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
Owner = tuple[int, int]


@contextlib.contextmanager
def open_folder(system: System, path: str, *, mode: int, owner: Owner) -> Iterator[int]:
    """A descriptor of a folder of the guest, which is made with mode and owner if it is missing.

    Parents that are missing are root's, 0755. A folder that exists is left as it is.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    trail = [os.open(system.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
    try:
        pending = list(reversed(parts))
        links = 0
        while pending:
            part = pending.pop()
            if part == "..":
                if len(trail) > 1:
                    os.close(trail.pop())
                continue
            target = _trusted_link(trail[-1], part, path)
            if target is None:
                made = (0o755, None) if pending else (mode, owner)
                trail.append(_enter(trail[-1], part, path, made))
                continue
            links += 1
            if links > MAX_LINKS:
                raise GuestError(f'cannot open the folder "{path}": its links lead in a circle')
            if target.startswith("/"):
                while len(trail) > 1:
                    os.close(trail.pop())
            pending += reversed([each for each in target.split("/") if each not in ("", ".")])
        yield trail[-1]
    finally:
        for descriptor in trail:
            os.close(descriptor)


def read_file(folder: int, name: str) -> Optional[bytes]:
    """What a file of an open folder holds; ``None`` if there is none.

    Links, devices and files with several names are refused: they may show what their reader must
    not see.
    """
    try:
        descriptor = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder
        )
    except FileNotFoundError:
        return None
    except OSError as error:
        raise GuestError(
            f'cannot read "{name}": {error.strerror}; if it is a link, replace it by a file'
        ) from error
    with os.fdopen(descriptor, "rb") as stream:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode) or state.st_nlink > 1:
            raise GuestError(f'cannot use "{name}": it is no plain file with one name')
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise GuestError(f'cannot use "{name}": it is larger than {LARGEST} bytes')
    return data


def write_file(
    system: System,
    folder: int,
    name: str,
    data: bytes,
    *,
    mode: int,
    owner: Owner,
    label: str = selinux.SSH_HOME,
) -> None:
    """Put a file with mode, owner and label into an open folder, replacing what has its name."""
    partial = f".{name}.{secrets.token_hex(4)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(partial, flags, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            selinux.set_label(system, descriptor, label)
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
        os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial, dir_fd=folder)
        raise
    os.fsync(folder)


def _trusted_link(folder: int, name: str, path: str) -> Optional[str]:
    """Where the name points if it is a link of root's; one of anybody else is refused."""
    try:
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISLNK(state.st_mode):
            return None
        if state.st_uid not in (0, os.geteuid()):
            raise GuestError(
                f'cannot open the folder "{path}": "{name}" in it is a link that a user made;'
                " replace it by a folder"
            )
        return os.readlink("", dir_fd=descriptor)
    finally:
        os.close(descriptor)


def _enter(folder: int, name: str, path: str, made: tuple[int, Optional[Owner]]) -> int:
    mode, owner = made
    created = False
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=folder)
        created = True
    try:
        descriptor = os.open(name, _FOLDER, dir_fd=folder)
    except OSError as error:
        raise GuestError(
            f'cannot open the folder "{path}": {error.strerror} at "{name}"'
        ) from error
    if created:
        os.fchmod(descriptor, mode)
        if owner is not None:
            os.fchown(descriptor, *owner)
    return descriptor
