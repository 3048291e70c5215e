"""Partition tables as values: MBR and GPT, read from the first bytes of a disk.

Pure. Writing one is the work of sfdisk (``partition``). Source: spec DAEMON 2.3.
"""

from __future__ import annotations

import enum
import struct
import uuid
import zlib
from typing import Any, Optional

from waagent.core.records import dataclass

HEAD = 1024 * 1024
"""How much of a disk is enough to read its table from."""
MAX_ENTRIES = 1024
MBR_SIGNATURE = b"\x55\xaa"
GPT_SIGNATURE = b"EFI PART"
PROTECTIVE = "ee"
NTFS_TYPE = "7"
MICROSOFT_RESERVED = "e3c9e316-0b5c-4db8-817d-f92df00215ae"

_GPT_HEADER = struct.Struct("<8s4sIIIQQQQ16sQIII")
_GPT_ENTRY = struct.Struct("<16s16sQQQ")
_MBR_ENTRY = struct.Struct("<B3xB3xII")


class Kind(enum.Enum):
    """What there is at the start of a disk."""

    NONE = "no partition table"
    DOS = "MBR"
    GPT = "GPT"
    DAMAGED = "a damaged partition table"


@dataclass(frozen=True)
class Partition:
    """One partition: bytes on the disk, and its type (hexadecimal digits, or a GUID)."""

    number: int
    start: int
    size: int
    type: str


@dataclass(frozen=True)
class Table:
    """A disk's table; ``identity`` is the disk's own number in it, or empty."""

    kind: Kind
    identity: str = ""
    partitions: tuple[Partition, ...] = ()
    problem: str = ""


NO_TABLE = Table(Kind.NONE)


def parse_table(head: bytes, *, sector: int, size: int) -> Table:
    """The table in the first bytes of a disk of ``size`` bytes; never raises.

    What is no table that the kernel would use is ``NONE``; what was one, or is only half, is
    ``DAMAGED``: somebody may still want to repair it.
    """
    is_gpt = head[sector : sector + 8] == GPT_SIGNATURE
    entries = _parse_mbr_entries(head)
    if entries is None:
        return _damaged("a GPT without its protective MBR") if is_gpt else NO_TABLE
    if any(kind == PROTECTIVE for _, kind, _, _ in entries):
        if not is_gpt:
            return _damaged("a protective MBR without its GPT")
        return _parse_gpt(head, sector=sector, size=size)
    partitions = tuple(
        Partition(number, first * sector, length * sector, kind)
        for number, kind, first, length in entries
    )
    problem = _problem_of(partitions, size)
    if problem:
        return _damaged(f"an MBR in which {problem}")
    identity = struct.unpack_from("<I", head, 440)[0]
    return Table(Kind.DOS, f"{identity:08x}" if identity else "", partitions)


def _parse_mbr_entries(head: bytes) -> Optional[list[tuple[int, str, int, int]]]:
    """Number, type, first sector and length; ``None`` for what is no MBR (a boot sector is not)."""
    if len(head) < 512 or head[510:512] != MBR_SIGNATURE:
        return None
    found = []
    for number in range(1, 5):
        status, kind, first, length = _MBR_ENTRY.unpack_from(head, 446 + 16 * (number - 1))
        if status not in (0, 0x80):
            return None
        if kind and length:
            found.append((number, f"{kind:x}", first, length))
    return found


def _parse_gpt(head: bytes, *, sector: int, size: int) -> Table:
    header = head[sector : 2 * sector]
    if len(header) < _GPT_HEADER.size:
        return _damaged("a GPT that is cut short")
    fields = _GPT_HEADER.unpack_from(header)
    identity, entries_at, count, width, _ = fields[-5:]
    raw = head[entries_at * sector : entries_at * sector + count * width]
    problem = _problem_of_gpt(header, raw, fields)
    if problem:
        return _damaged(problem)
    partitions = []
    for number in range(1, count + 1):
        kind, _, first, last, _ = _GPT_ENTRY.unpack_from(raw, (number - 1) * width)
        if any(kind):
            bytes_long = (last - first + 1) * sector
            partitions.append(Partition(number, first * sector, bytes_long, _guid(kind)))
    problem = _problem_of(tuple(partitions), size)
    if problem:
        return _damaged(f"a GPT in which {problem}")
    return Table(Kind.GPT, _guid(identity), tuple(partitions))


def _problem_of_gpt(header: bytes, raw: bytes, fields: tuple[Any, ...]) -> str:
    length, checksum = fields[2], fields[3]
    _, entries_at, count, width, sums = fields[-5:]
    if not _GPT_HEADER.size <= length <= len(header):
        return "a GPT header of an impossible size"
    if zlib.crc32(header[:16] + bytes(4) + header[20:length]) != checksum:
        return "a GPT header whose checksum is wrong"
    if not (1 <= count <= MAX_ENTRIES and 128 <= width <= 4096 and entries_at >= 2):
        return "a GPT with impossible entries"
    if len(raw) != count * width or zlib.crc32(raw) != sums:
        return "a GPT whose entries have a wrong checksum"
    return ""


def _problem_of(partitions: tuple[Partition, ...], size: int) -> str:
    end = 0
    for partition in sorted(partitions, key=lambda one: one.start):
        if partition.start <= 0 or partition.size <= 0:
            return f"partition {partition.number} has an impossible place"
        if partition.start < end:
            return f"partition {partition.number} overlaps another"
        end = partition.start + partition.size
        if end > size:
            return f"partition {partition.number} ends behind the disk"
    return ""


def _damaged(problem: str) -> Table:
    return Table(Kind.DAMAGED, problem=problem)


def _guid(raw: bytes) -> str:
    return str(uuid.UUID(bytes_le=raw))
