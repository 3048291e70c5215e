"""Archives as other people make them, and what has to be left when one is refused."""

from __future__ import annotations

import stat
import struct
import zipfile
from pathlib import Path
from typing import Union

import pytest

from waagent.core.archive import ArchiveError, unpack

Entries = dict[str, Union[bytes, str]]


def make_zip(path: Path, entries: Entries, *, kind: int = zipfile.ZIP_DEFLATED) -> Path:
    """A zip; text values are the targets of links."""
    with zipfile.ZipFile(path, "w", kind) as package:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = kind
            if isinstance(content, str):
                entry.create_system = 3
                entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            package.writestr(entry, content)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def names(folder: Path) -> list[str]:
    """What a folder holds."""
    return sorted(entry.name for entry in folder.iterdir())


def refused(package: Path, *, match: str) -> None:
    """The archive is refused and leaves no trace, also of an older folder nothing is lost."""
    before = names(package.parent)
    with pytest.raises(ArchiveError, match=match) as caught:
        unpack(package, package.parent / "Ext-1.0")
    assert package.name in str(caught.value)
    assert names(package.parent) == before


def put_special(path: Path, name: str, kind: int, content: bytes) -> Path:
    """A zip with a file and one entry that is something else."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("lib/real", b"real")
        entry = zipfile.ZipInfo(name)
        entry.create_system = 3
        entry.external_attr = (kind | 0o777) << 16
        made.writestr(entry, content)
    return path


def directory_of(path: Path, count: int, names: bytes) -> Path:
    """A zip that is a directory alone: that is looked at first."""
    data = bytearray(make_zip(path, {}).read_bytes())
    entry = (
        struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, *[0] * 7, len(names), *[0] * 6) + names
    )
    struct.pack_into("<HHII", data, 8, count & 0xFFFF, count & 0xFFFF, len(entry) * count, 0)
    path.write_bytes(entry * count + bytes(data))
    return path
