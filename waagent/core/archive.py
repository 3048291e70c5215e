"""Unpack zip archives that other people made: bounded, and never outside of their folder.

Entries are written into a staging folder that takes its final name when all of it is there.
Source: spec EXT 3.3; CLI 3.1 (``u+x`` on every file).
"""

from __future__ import annotations

import lzma
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Optional

from waagent.core.errors import AgentError

MAX_ENTRIES = 50_000
MAX_TOTAL = 4 * 1024 * 1024 * 1024
BLOCK = 1024 * 1024
MAX_PREFIX = 40  # of the folder's name in the staging folder's name, which has to fit into 255

# What zipfile and its decompressors raise for bytes that make no sense.
_BROKEN = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
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
        raise ArchiveError(
            f'cannot unpack "{archive.name}": it is no whole zip ({error})'
        ) from error
    except OSError as error:
        raise ArchiveError(f'cannot unpack "{archive.name}": {error}') from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


def _unpack_into(archive: Path, staging: Path) -> None:
    with zipfile.ZipFile(archive) as package:
        entries = package.infolist()
        if len(entries) > MAX_ENTRIES:
            raise ArchiveError(f'cannot unpack "{archive.name}": over {MAX_ENTRIES} entries')
        if sum(entry.file_size for entry in entries) > MAX_TOTAL:
            raise ArchiveError(f'cannot unpack "{archive.name}": over {MAX_TOTAL} bytes unpacked')
        for entry in entries:
            name = entry.filename.replace("\\", "/")
            target = staging.joinpath(*_inside(archive, name))
            if name.endswith("/") or target == staging:
                target.mkdir(parents=True, exist_ok=True)
            else:
                _write_entry(archive, package, entry, target)


def _inside(archive: Path, name: str) -> tuple[str, ...]:
    """The parts of an entry's name, all of them below the folder; none for the folder itself."""
    path = PurePosixPath(name)
    parts = path.parts
    if not name or path.is_absolute() or ".." in parts or ":" in "".join(parts[:1]):
        raise ArchiveError(f'cannot unpack "{archive.name}": "{name}" would leave the folder')
    return parts


def _write_entry(
    archive: Path, package: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path
) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise ArchiveError(
            f'cannot unpack "{archive.name}": "{entry.filename}" is a link or a device'
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with package.open(entry) as source, target.open("wb") as sink:
        while True:
            block = source.read(BLOCK)
            if not block:
                break
            written += len(block)
            if written > entry.file_size:
                raise ArchiveError(
                    f'cannot unpack "{archive.name}": "{entry.filename}" is larger than it says'
                )
            sink.write(block)
    target.chmod(0o644 | stat.S_IXUSR)
