"""Disks as bytes: MBR, GPT and the NTFS that the platform delivers, as small as they can be."""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

MIB = 1024 * 1024
LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4"
BASIC_DATA = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"
RESERVED = "e3c9e316-0b5c-4db8-817d-f92df00215ae"
DISK = "11111111-2222-3333-4444-555555555555"
README = "DATALOSS_WARNING_README.txt"
CLUSTER = 4096
FILE_TABLE = 4 * CLUSTER


@dataclass(frozen=True)
class Part:
    """A partition, in bytes."""

    number: int
    start: int
    size: int
    type: str = "7"


def mbr(*parts: Part, identity: int = 0xC0FFEE, sector: int = 512) -> bytes:
    """An MBR."""
    raw = bytearray(512)
    struct.pack_into("<I", raw, 440, identity)
    for part in parts:
        entry = struct.pack(
            "<B3xB3xII", 0, int(part.type, 16), part.start // sector, part.size // sector
        )
        raw[446 + 16 * (part.number - 1) : 462 + 16 * (part.number - 1)] = entry
    raw[510:] = b"\x55\xaa"
    return bytes(raw)


def gpt(*parts: Part, identity: str = DISK, sector: int = 512, disk: int = 64 * MIB) -> bytes:
    """A protective MBR, and the first of the two GPTs."""
    entries = bytearray(128 * 128)
    for part in parts:
        first, last = part.start // sector, (part.start + part.size) // sector - 1
        kind = uuid.UUID(part.type).bytes_le
        entry = struct.pack("<16s16sQQQ", kind, bytes([part.number] * 16), first, last, 0)
        entries[128 * (part.number - 1) : 128 * (part.number - 1) + len(entry)] = entry
    sectors = disk // sector
    fields = (1, sectors - 1, 34, sectors - 34, uuid.UUID(identity).bytes_le, 2, 128, 128)
    layout = "<8s4sIIIQQQQ16sQIII"
    sums = zlib.crc32(bytes(entries))
    header = struct.pack(layout, b"EFI PART", b"\0\0\1\0", 92, 0, 0, *fields, sums)
    header = struct.pack(layout, b"EFI PART", b"\0\0\1\0", 92, zlib.crc32(header), 0, *fields, sums)
    head = mbr(Part(1, sector, disk - sector, "ee"), identity=0, sector=sector)
    return head.ljust(sector, b"\0") + header.ljust(sector, b"\0") + bytes(entries)


@dataclass(frozen=True)
class File:
    """A file or folder of an NTFS, from record 24 on."""

    name: str
    parent: int = 5
    dos_name: str = ""
    in_use: bool = True
    continues: int = 0


PLATFORMS = (
    File("$ObjId", parent=11),
    File("System Volume Information", dos_name="SYSTEM~1"),
    File("WPSettings.dat", parent=25),
    File(README, dos_name="DATALO~1.TXT"),
    File("deleted.txt", in_use=False),
)
"""What the platform's NTFS has."""


def ntfs(files: Sequence[File] = PLATFORMS, *, record: int = 1024, pieces: int = 1) -> bytes:
    """An NTFS: a boot sector, and a file table in so many extents."""
    records = [_record(record, _names(number, files), True) for number in range(24)]
    for one in files:
        names = [(one.parent, one.dos_name, 2)] if one.dos_name else []
        names += [(one.parent, one.name, 1)] if one.name else []
        records.append(_record(record, names, one.in_use, continues=one.continues))
    per_cluster = max(1, CLUSTER // record)
    while len(records) % (per_cluster * pieces):
        records.append(bytes(record))
    clusters = len(records) * record // CLUSTER
    extents = [(FILE_TABLE // CLUSTER + index * 2 * (clusters // pieces), clusters // pieces)
               for index in range(pieces)]  # fmt: skip
    table_size = len(records) * record
    records[0] = _record(record, [(5, "$MFT", 3)], True, extents=extents, size=table_size)
    raw = bytearray(extents[-1][0] * CLUSTER + extents[-1][1] * CLUSTER)
    boot = struct.pack("<3s8sHB", b"\xeb\x52\x90", b"NTFS    ", 512, CLUSTER // 512)
    raw[: len(boot)] = boot
    width = record // CLUSTER if record >= CLUSTER else -(record.bit_length() - 1)
    struct.pack_into("<QQb", raw, 48, FILE_TABLE // CLUSTER, 1, width)
    raw[510:512] = b"\x55\xaa"
    content = b"".join(records)
    done = 0
    for place, length in extents:
        raw[place * CLUSTER : (place + length) * CLUSTER] = content[done : done + length * CLUSTER]
        done += length * CLUSTER
    return bytes(raw)


def _names(number: int, files: Sequence[File]) -> list[tuple[int, str, int]]:
    """Records of the file system itself; those from 12 on have no name."""
    return [(5, f"${number}", 3)] if number < 12 and files is not None else []


def _record(
    width: int,
    names: Sequence[tuple[int, str, int]],
    in_use: bool,
    *,
    extents: Sequence[tuple[int, int]] = (),
    size: int = 0,
    continues: int = 0,
) -> bytes:
    raw = bytearray(width)
    ends = width // 512
    raw[:4] = b"FILE"
    struct.pack_into("<HH", raw, 4, 48, ends + 1)
    struct.pack_into("<HHQ", raw, 20, 72 + 2 * ends & ~7, int(in_use), 0)
    struct.pack_into("<Q", raw, 32, continues)
    at = 72 + 2 * ends & ~7
    for parent, name, space in names:
        value = struct.pack("<Q", parent | 1 << 48) + bytes(56) + bytes([len(name), space])
        value += name.encode("utf-16-le")
        at = _add(raw, at, struct.pack("<IHH", len(value), 24, 0) + value, kind=0x30)
    if extents:
        runs, last = b"", 0
        for place, length in extents:
            runs += bytes([0x32]) + length.to_bytes(2, "little")
            runs += (place - last).to_bytes(3, "little", signed=True)
            last = place
        body = struct.pack("<QQHHIQQQ", 0, 0, 64, 0, 0, size, size, size) + runs + b"\0"
        at = _add(raw, at, body, kind=0x80, resident=False)
    struct.pack_into("<I", raw, at, 0xFFFFFFFF)
    raw[48:50] = b"\x01\x00"
    for index in range(1, ends + 1):
        end = index * 512
        raw[48 + 2 * index : 50 + 2 * index] = raw[end - 2 : end]
        raw[end - 2 : end] = raw[48:50]
    return bytes(raw)


def _add(raw: bytearray, at: int, body: bytes, *, kind: int, resident: bool = True) -> int:
    length = (16 + len(body) + 7) & ~7
    struct.pack_into("<IIBBHHH", raw, at, kind, length, not resident, 0, 0, 0, 0)
    raw[at + 16 : at + 16 + len(body)] = body
    return at + length
