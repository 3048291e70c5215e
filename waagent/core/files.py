"""Files that are whole or not there: write beside, fsync, rename; mode and owner at creation.

Source: spec CLI 3.4 (what must be atomic) and 3.1 (modes).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Optional, Union

from waagent.core.errors import GuestError, is_disk_trouble

SECRET = 0o600
PUBLIC = 0o644
MAX_READ = 16 * 1024 * 1024
MAX_PREFIX = 40  # of the name in a temporary file's name, which has to fit into 255 bytes
LABEL = "security.selinux"
READ_PIECE = 64 * 1024

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Owner = tuple[int, int]


def name_beside(name: str) -> str:
    """What a file is called while it is written, until it takes its place; a kill may leave it."""
    return f".{name[:MAX_PREFIX]}.{os.urandom(6).hex()}"


@contextlib.contextmanager
def replacing(
    path: Path, *, mode: int = PUBLIC, owner: Optional[Owner] = None, lasting: bool = True
) -> Iterator[IO[bytes]]:
    """A stream to a file beside ``path`` that takes its place when the block ends without error.

    The file has its mode and owner from the start, and the SELinux label of the one it replaces;
    on an error nothing is left and ``path`` is as it was. A link of that name is replaced and
    never followed: others may have planted it. ``System.path`` is what follows links. What is not
    ``lasting`` is whole for whoever reads it, and may be gone or empty after a loss of power.
    """
    beside = path.with_name(name_beside(path.name))
    try:
        descriptor = os.open(beside, _NEW, SECRET)
    except OSError as error:
        _name(error, path)
        raise
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if owner is not None:
                os.fchown(stream.fileno(), *owner)
            os.fchmod(stream.fileno(), mode)
            _copy_attributes(path, stream.fileno(), (LABEL,))
            yield stream
            stream.flush()
            if lasting:
                os.fsync(stream.fileno())
        beside.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        _name(error, path)
        raise
    if lasting:
        _sync_folder(path.parent)


def write(
    path: Path,
    content: Union[bytes, str],
    *,
    mode: int = PUBLIC,
    owner: Optional[Owner] = None,
    lasting: bool = True,
) -> None:
    """Write the whole file atomically; text is UTF-8. See ``replacing``."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    with replacing(path, mode=mode, owner=owner, lasting=lasting) as stream:
        stream.write(data)


def ensure_content(path: Path, content: Union[bytes, str], *, mode: int = PUBLIC) -> bool:
    """Have a plain file of ours hold just that; whether it had to be written.

    To write waits for the disk, some ten milliseconds each time.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    if _holds(path, data, mode):
        return False
    write(path, data, mode=mode)
    return True


def rewrite(path: Path, content: Union[bytes, str]) -> None:
    """Replace the content of an existing file atomically; all else about it stays.

    That is its mode, owner and extended attributes (access lists, labels). A link is kept, and
    the file it points to is rewritten.
    """
    target = Path(os.path.realpath(path))
    state = target.stat()
    owner = (state.st_uid, state.st_gid)
    data = content.encode("utf-8") if isinstance(content, str) else content
    with replacing(target, mode=state.st_mode & 0o7777, owner=owner) as stream:
        with contextlib.suppress(OSError):
            _copy_attributes(target, stream.fileno(), os.listxattr(target))
        stream.write(data)


def ensure_directory(path: Path, *, mode: int = 0o755, owner: Optional[Owner] = None) -> bool:
    """Make the directory with its parents if it is missing; whether it was made.

    Only the last one gets the mode and owner. A file in its place is a ``GuestError``.
    """
    if path.is_dir():
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=mode)
    except (FileExistsError, NotADirectoryError) as error:
        if path.is_dir():
            return False
        raise GuestError(
            f'cannot make the directory "{path}": "{error.filename}" is a file; remove it'
        ) from None
    path.chmod(mode)
    if owner is not None:
        os.chown(path, *owner)
    return True


def read(path: Path, *, limit: int = MAX_READ) -> bytes:
    """The file's bytes; over the limit is a ``GuestError``, a missing one ``FileNotFoundError``.

    A pipe, a socket or a disk is a ``GuestError`` too: whoever put it there would hold us up.
    """
    collected = bytearray()
    descriptor = _open_plain(path)
    try:
        if os.fstat(descriptor).st_size > limit:
            raise _too_large(path, limit)
        # In pieces: the kernel's own files refuse to be read into a very large buffer.
        while len(collected) <= limit:
            piece = os.read(descriptor, READ_PIECE)
            if not piece:
                return bytes(collected)
            collected += piece
    finally:
        os.close(descriptor)
    raise _too_large(path, limit)


def _too_large(path: Path, limit: int) -> GuestError:
    return GuestError(f'cannot read "{path}": it is larger than {limit} bytes')


def open_plain(path: Path) -> IO[bytes]:
    """Open a file to read it, and nothing that could make us wait; raises as ``read`` does."""
    return os.fdopen(_open_plain(path), "rb")


def _holds(path: Path, data: bytes, mode: int) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        state = os.fstat(descriptor)
        is_ours = state.st_mode == stat.S_IFREG | mode and state.st_uid == os.geteuid()
        return is_ours and state.st_size == len(data) and os.read(descriptor, len(data) + 1) == data
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _open_plain(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        os.close(descriptor)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
        os.close(descriptor)
        raise GuestError(f'cannot read "{path}": it is no plain file')
    return descriptor


def read_text(path: Path, *, limit: int = MAX_READ) -> str:
    """The file as UTF-8 text, undecodable bytes escaped."""
    return read(path, limit=limit).decode("utf-8", "backslashreplace")


def read_if_there(path: Path, *, limit: int = MAX_READ) -> Optional[str]:
    """The file's text, or ``None`` when it cannot be read or is over the limit."""
    try:
        return read_text(path, limit=limit)
    except (OSError, GuestError):
        return None


def remove(path: Path) -> bool:
    """Remove a file if it is there; whether it was."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _copy_attributes(path: Path, descriptor: int, names: Iterable[str]) -> None:
    for name in names:
        with contextlib.suppress(OSError):  # not there, or a file system that has none
            value = os.getxattr(path, name, follow_symlinks=False)
            os.setxattr(descriptor, name, value)


def _name(error: BaseException, path: Path) -> None:
    """What could not be written, for whoever reads of it: the kernel says it of no open file."""
    if isinstance(error, OSError) and is_disk_trouble(error):
        error.filename = str(path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # The file is in place; some file systems cannot say that its name is on the disk.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF):
            raise
    finally:
        os.close(descriptor)
