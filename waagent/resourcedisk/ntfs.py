"""Which files an NTFS file system has, read from its file table without any driver.

The platform delivers the resource disk as NTFS, empty but for its own files; guests rarely have a
driver for it, and a label proves nothing. Reads only, and of anything strange says that it cannot
tell.
"""

from __future__ import annotations

import struct
from typing import Callable

from waagent.core.errors import DocumentError
from waagent.core.records import dataclass

Read = Callable[[int, int], bytes]
"""Bytes of the file system: offset and length; fewer at its end."""

MAX_FILES = 16_384
MAX_DEPTH = 64
ROOT = 5
EXTEND = 11
FIRST_FILE = 24
"""Records before it are those of the file system itself."""
OWN_FILES = ("dataloss_warning_readme.txt",)
"""What the platform puts there."""
OWN_FOLDERS = ("system volume information", "$recycle.bin")
"""What Windows makes on any volume that it has seen."""

_DATA = 0x80
_NAME = 0x30
_LIST = 0x20
_END = 0xFFFFFFFF
_DOS_NAMES = 2
_PIECE = 1024 * 1024


class NtfsError(DocumentError):
    """What is no NTFS that can be read, or one with far more files than the platform's."""


@dataclass(frozen=True)
class Geometry:
    """Bytes of a cluster and of a file record, and where the file table begins."""

    cluster: int
    record: int
    table: int


@dataclass(frozen=True)
class Entry:
    """A file or folder: its number, that of its folder, its name (empty: it has none)."""

    number: int
    parent: int
    name: str


def find_strangers(read: Read) -> tuple[str, ...]:
    """Files and folders that are not the platform's, sorted; raises ``NtfsError``."""
    try:
        geometry = parse_geometry(read(0, 512))
        entries = {entry.number: entry for entry in _entries(read, geometry)}
    except (struct.error, IndexError) as error:
        raise NtfsError(f"cannot read the NTFS file table: {error}") from error
    found = (_path(entry, entries) for entry in entries.values())
    return tuple(sorted(path for path in found if path and not _is_platforms(path)))


def parse_geometry(boot: bytes) -> Geometry:
    """What the boot sector says."""
    if boot[3:11] != b"NTFS    " or len(boot) < 512:
        raise NtfsError("cannot read the file system: it has no NTFS boot sector")
    sector, per_cluster = struct.unpack_from("<HB", boot, 11)
    table, width = struct.unpack_from("<Q8xb", boot, 48)
    sectors = per_cluster if per_cluster <= 0x80 else 1 << (256 - per_cluster)
    cluster = sector * sectors
    if sector not in (512, 1024, 2048, 4096) or not 512 <= cluster <= 2 * 1024 * 1024:
        raise NtfsError("cannot read the NTFS boot sector: impossible clusters")
    record = width * cluster if width > 0 else 1 << min(-width, 31)
    if record not in (512, 1024, 2048, 4096, 8192, 16384):
        raise NtfsError("cannot read the NTFS boot sector: impossible records")
    return Geometry(cluster, record, table * cluster)


def _entries(read: Read, geometry: Geometry) -> list[Entry]:
    first = _fixed(read(geometry.table, geometry.record), geometry.record)
    found: list[Entry] = []
    number = 0
    for offset, length in _extents(first, geometry):
        for at in range(0, length, _PIECE):
            piece = read(offset + at, min(_PIECE, length - at))
            if len(piece) < min(_PIECE, length - at):
                raise NtfsError("cannot read the NTFS file table: it ends behind the partition")
            for start in range(0, len(piece), geometry.record):
                raw = piece[start : start + geometry.record]
                if number >= FIRST_FILE and len(raw) == geometry.record and any(raw[:4]):
                    found += _entry(number, _fixed(raw, geometry.record))
                number += 1
    return found


def _fixed(raw: bytes, size: int) -> bytes:
    """A record with the ends of its sectors put back."""
    if raw[:4] != b"FILE" or len(raw) != size:
        raise NtfsError("cannot read the NTFS file table: a record is damaged")
    at, count = struct.unpack_from("<HH", raw, 4)
    if count < 2 or size % (count - 1) or at + 2 * count > size:
        raise NtfsError("cannot read the NTFS file table: a record has no valid ends")
    stride = size // (count - 1)
    record = bytearray(raw)
    for index in range(1, count):
        end = index * stride
        if raw[end - 2 : end] != raw[at : at + 2]:
            raise NtfsError("cannot read the NTFS file table: a record was written in part")
        record[end - 2 : end] = raw[at + 2 * index : at + 2 * index + 2]
    return bytes(record)


def _attributes(record: bytes) -> list[tuple[int, int, bytes]]:
    """Type, name length and bytes of each attribute."""
    (at,) = struct.unpack_from("<H", record, 20)
    found: list[tuple[int, int, bytes]] = []
    while True:
        (kind,) = struct.unpack_from("<I", record, at)
        if kind == _END:
            return found
        (length,) = struct.unpack_from("<I", record, at + 4)
        if length < 24 or at + length > len(record):
            raise NtfsError("cannot read the NTFS file table: an attribute is damaged")
        found.append((kind, record[at + 9], record[at : at + length]))
        at += length


def _extents(first: bytes, geometry: Geometry) -> list[tuple[int, int]]:
    """Where the file table is: offsets and lengths, as its own record says."""
    attributes = _attributes(first)
    if any(kind == _LIST for kind, _, _ in attributes):
        raise NtfsError("the NTFS file system has far more files than the platform's")
    data = next((raw for kind, name, raw in attributes if kind == _DATA and not name), None)
    if data is None or not data[8]:
        raise NtfsError("cannot read the NTFS file table: it has no place")
    (runs_at,) = struct.unpack_from("<H", data, 32)
    (size,) = struct.unpack_from("<Q", data, 48)
    if size > MAX_FILES * geometry.record:
        raise NtfsError("the NTFS file system has far more files than the platform's")
    found = []
    place = 0
    while size > 0 and data[runs_at]:
        wide_length, wide_place = data[runs_at] & 15, data[runs_at] >> 4
        middle = runs_at + 1 + wide_length
        clusters = int.from_bytes(data[runs_at + 1 : middle], "little")
        place += int.from_bytes(data[middle : middle + wide_place], "little", signed=True)
        if not wide_place or place < 0 or not clusters:
            raise NtfsError("cannot read the NTFS file table: it has no place")
        length = min(clusters * geometry.cluster, size)
        found.append((place * geometry.cluster, length))
        size -= length
        runs_at = middle + wide_place
    if size > 0:
        raise NtfsError("cannot read the NTFS file table: a part of it is missing")
    return found


def _entry(number: int, record: bytes) -> list[Entry]:
    """The file of a record; none of one that is free, or that goes on with another's."""
    (flags,) = struct.unpack_from("<H", record, 22)
    (continues,) = struct.unpack_from("<Q", record, 32)
    if not flags & 1 or continues:
        return []
    best = Entry(number, ROOT, "")
    for kind, _, raw in _attributes(record):
        if kind != _NAME or raw[8]:
            continue
        (at,) = struct.unpack_from("<H", raw, 20)
        parent = int.from_bytes(raw[at : at + 6], "little")
        length, space = raw[at + 64], raw[at + 65]
        name = raw[at + 66 : at + 66 + 2 * length].decode("utf-16-le", "replace")
        if not best.name or space != _DOS_NAMES:
            best = Entry(number, parent, name)
    return [best]


def _path(entry: Entry, entries: dict[int, Entry]) -> str:
    """Its path, or nothing for what belongs to the file system itself."""
    names = [entry.name or f"file {entry.number}"]
    parent = entry.parent
    for _ in range(MAX_DEPTH):
        if parent == EXTEND:
            return ""
        above = entries.get(parent)
        if above is None:
            break
        names.append(above.name)
        parent = above.parent
    return "/".join(reversed(names))


def _is_platforms(path: str) -> bool:
    first, _, rest = path.lower().partition("/")
    return first in OWN_FOLDERS or (not rest and first in OWN_FILES)
