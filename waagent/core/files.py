"""Files that are whole or not there: write beside, fsync, rename; mode and owner at creation.

Source: spec CLI 3.4 (what must be atomic) and 3.1 (modes).
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Optional, Union

from waagent.core.errors import GuestError

SECRET = 0o600
PUBLIC = 0o644
MAX_READ = 16 * 1024 * 1024
READ_PIECE = 64 * 1024

Owner = tuple[int, int]


@contextlib.contextmanager
def replacing(
    path: Path, *, mode: int = PUBLIC, owner: Optional[Owner] = None
) -> Iterator[IO[bytes]]:
    """A stream to a file beside ``path`` that takes its place when the block ends without error.

    The file has its mode and owner from the start; on an error nothing is left and ``path`` is
    as it was.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if owner is not None:
                os.fchown(stream.fileno(), *owner)
            os.fchmod(stream.fileno(), mode)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    _sync_folder(path.parent)


def write(
    path: Path,
    content: Union[bytes, str],
    *,
    mode: int = PUBLIC,
    owner: Optional[Owner] = None,
) -> None:
    """Write the whole file atomically; text is UTF-8."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    with replacing(path, mode=mode, owner=owner) as stream:
        stream.write(data)


def rewrite(path: Path, content: Union[bytes, str]) -> None:
    """Replace the content of an existing file atomically, with the mode and owner it has."""
    state = path.stat()
    write(path, content, mode=state.st_mode & 0o7777, owner=(state.st_uid, state.st_gid))


def ensure_directory(path: Path, *, mode: int = 0o755, owner: Optional[Owner] = None) -> bool:
    """Make the directory with its parents if it is missing; whether it was made.

    Only the last one gets the mode and owner. A file in its place is a ``GuestError``.
    """
    if path.is_dir():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=mode)
    except FileExistsError:
        if path.is_dir():
            return False
        raise GuestError(
            f'cannot make the directory "{path}": a file has that name; remove it'
        ) from None
    path.chmod(mode)
    if owner is not None:
        os.chown(path, *owner)
    return True


def read(path: Path, *, limit: int = MAX_READ) -> bytes:
    """The file's bytes; over the limit is a ``GuestError``, a missing one ``FileNotFoundError``."""
    collected = bytearray()
    with path.open("rb") as stream:
        # In pieces: the kernel's own files refuse to be read into a very large buffer.
        while len(collected) <= limit:
            piece = stream.read(READ_PIECE)
            if not piece:
                return bytes(collected)
            collected += piece
    raise GuestError(f'cannot read "{path}": it is larger than {limit} bytes')


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


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
