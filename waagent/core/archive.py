"""Unpack zip archives that other people made: bounded, and never outside of their folder.

Entries are written into a staging folder that takes its final name when all of it is there. What
is written is always a plain file, so that no entry can lead another one elsewhere.
Source: spec EXT 3.4; CLI 3.1 (``u+x`` on every file).
"""

from __future__ import annotations

import errno
import io
import os
import posixpath
import re
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Optional

from waagent.core.errors import AgentError

MAX_ENTRIES = 10_000
MAX_DIRECTORY = 4 * 1024 * 1024
MAX_TOTAL = 4 * 1024 * 1024 * 1024
MAX_RATIO = 200
PLAIN_TOTAL = 128 * 1024 * 1024  # below that nobody is asked how well it is packed
MAX_DEPTH = 100
LONGEST_LINK = 4096
LONGEST_NAME = 80
LONGEST_END = 128 * 1024
BLOCK = 128 * 1024
MAX_PREFIX = 40  # of the folder's name in the staging folder's name, which has to fit into 255

_DRIVE = re.compile(r"[A-Za-z]:")
_ENCRYPTED = 0x1
_KNOWN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile and its decompressors raise for bytes that make no sense.
_BROKEN = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    LookupError,
    OverflowError,
)


class ArchiveError(AgentError):
    """An archive cannot be unpacked: broken, too large, or with entries that leave the folder."""

    label = "ExtensionDownloadError"


def unpack(archive: Path, folder: Path, *, mode: int = 0o755) -> None:
    """Unpack the whole archive as ``folder``, replacing what has that name; or leave no trace.

    Raises ``ArchiveError`` naming the entry at fault.
    """
    staging: Optional[Path] = None
    try:
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name[:MAX_PREFIX]}.", dir=folder.parent))
        whole = staging / "new"
        whole.mkdir()
        _unpack_into(archive, whole)
        whole.chmod(mode)
        if folder.is_symlink() or folder.exists():
            folder.replace(staging / "old")
        whole.replace(folder)
    except _BROKEN as error:
        raise _refusal(archive, f"it is no whole zip ({error})") from error
    except OSError as error:
        raise _refusal(archive, str(error)) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


class _BoundedReader(io.BufferedReader):
    """The file, of which nobody gets much at once: the directory may say that it is gigabytes."""

    def read(self, size: Optional[int] = -1, /) -> bytes:
        if size is not None and size > MAX_DIRECTORY:
            raise zipfile.BadZipFile(f"its directory is over {MAX_DIRECTORY} bytes")
        return super().read(LONGEST_END if size is None or size < 0 else size)


def _refusal(archive: Path, why: str) -> ArchiveError:
    return ArchiveError(f'cannot unpack "{archive.name}": {why}')


def _unpack_into(archive: Path, staging: Path) -> None:
    with _BoundedReader(io.FileIO(archive)) as stream, zipfile.ZipFile(stream) as package:
        entries = package.infolist()
        disk = os.statvfs(staging)
        why = find_excess(entries, archive.stat().st_size, disk)
        if why is not None:
            full = _find_lack(entries, disk)
            raise _refusal(archive, why) from None if full is None else OSError(errno.ENOSPC, full)
        for entry in entries:
            try:
                _unpack_entry(package, entry, staging)
            except _Unwanted as error:
                raise _refusal(archive, f'"{_shown(entry.filename)}" {error}') from None


def find_excess(
    entries: Sequence[zipfile.ZipInfo], packed: int, disk: os.statvfs_result
) -> Optional[str]:
    """Why so much is not unpacked, by what the archive says of itself; nothing is written yet."""
    if len(entries) >= MAX_ENTRIES:
        return f"it has {len(entries)} entries, and {MAX_ENTRIES} are too many"
    total = sum(entry.file_size for entry in entries)
    if total > MAX_TOTAL:
        return f"over {MAX_TOTAL} bytes unpacked"
    if total > max(PLAIN_TOTAL, MAX_RATIO * packed):
        return f"{packed} bytes that become {total} are a bomb"
    return _find_lack(entries, disk)


def _find_lack(entries: Sequence[zipfile.ZipInfo], disk: os.statvfs_result) -> Optional[str]:
    total, free = sum(entry.file_size for entry in entries), disk.f_bavail * disk.f_frsize
    if total > free:
        return f"{os.strerror(errno.ENOSPC)}: {total} bytes are needed, {free} are free"
    return None


class _Unwanted(Exception):
    """What is wrong with an entry."""


def _inside(name: str) -> tuple[str, ...]:
    """The parts of an entry's name, all of them below the folder; none for the folder itself."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or _DRIVE.match(name):
        raise _Unwanted("would leave the folder")
    if len(path.parts) > MAX_DEPTH:
        raise _Unwanted(f"is nested more than {MAX_DEPTH} deep")
    return path.parts


def _unpack_entry(package: zipfile.ZipFile, entry: zipfile.ZipInfo, staging: Path) -> None:
    name = entry.filename.replace("\\", "/")  # some tools of Windows do not know better
    target = staging.joinpath(*_inside(name))
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
        raise _Unwanted("is a device, a pipe or a socket")
    if entry.flag_bits & _ENCRYPTED:
        raise _Unwanted("is encrypted, and nobody gave us a password")
    if entry.compress_type not in _KNOWN:
        # What Python has for the others takes gigabytes of memory for a few bytes at its will.
        raise _Unwanted(f"is compressed by method {entry.compress_type}; only deflate is known")
    if kind == stat.S_IFLNK:
        _check_link(package, entry, name)
    if name.endswith("/") or kind == stat.S_IFDIR or target == staging:
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_entry(package, entry, target)


def _check_link(package: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> None:
    """A link within the package becomes a file with its text, as the reference has it.

    One that leads out of it is nobody's mistake.
    """
    with package.open(entry) as source:
        target = source.read(LONGEST_LINK).decode("utf-8", "surrogateescape")
    place = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    if not target or target.startswith("/") or place == ".." or place.startswith("../"):
        raise _Unwanted("is a link that would leave the folder")


def _write_entry(package: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    written = 0
    with package.open(entry) as source, target.open("wb") as sink:
        while True:
            block = source.read(BLOCK)
            if not block:
                break
            written += len(block)
            if written > entry.file_size:
                raise _Unwanted("is larger than it says")
            sink.write(block)
    target.chmod(0o644 | stat.S_IXUSR)


def _shown(name: str) -> str:
    """A name in one line of a message, whatever it is made of."""
    short = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in short)
