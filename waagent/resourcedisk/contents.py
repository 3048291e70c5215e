"""What is on the disk, as facts: its table, and what the disk and each partition hold.

Reads only. Signatures are judged by blkid, which knows some hundred; NTFS is read by ``ntfs``.
"""

from __future__ import annotations

import os
from typing import Optional

from waagent.core.commands import CANNOT_START
from waagent.core.errors import CommandTimedOut
from waagent.core.records import dataclass
from waagent.core.system import System
from waagent.resourcedisk import tables, usage
from waagent.resourcedisk.errors import ResourceDiskError
from waagent.resourcedisk.ntfs import NtfsError, find_strangers

BLKID_WITHIN_S = 60.0
NOTHING_FOUND = 2
EDGE = 1024 * 1024
SAMPLES = 1024
SAMPLE = 4096
"""What is blank is read whole at both ends, and in so many places between."""
MAX_PARTITIONS = 8
"""More than the platform ever makes: what is on a disk that has more is not looked at."""


@dataclass(frozen=True)
class Content:
    """What a disk or partition holds.

    ``kind`` is blkid's word for its signature; ``strangers`` the files of an NTFS that are not
    the platform's, ``None`` where that cannot be told. ``problem``: why something is not known.
    """

    kind: Optional[str] = None
    label: str = ""
    uuid: str = ""
    is_blank: bool = False
    strangers: Optional[tuple[str, ...]] = None
    problem: str = ""


@dataclass(frozen=True)
class Facts:
    """A disk as it was found; ``contents`` are those of the table's partitions, by number."""

    node: str
    size: int
    is_read_only: bool
    table: tables.Table
    whole: Content
    contents: tuple[tuple[int, Content], ...] = ()

    def content(self, number: int) -> Content:
        """What a partition holds."""
        return dict(self.contents).get(number, Content(problem="it was not looked at"))


def read_facts(system: System, disk: str) -> Facts:
    """Look at the disk; raises ``ResourceDiskError`` where it cannot be read."""
    node = f"/dev/{disk}"
    try:
        descriptor = os.open(system.path(node), os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ResourceDiskError(f"cannot open {node}: {error.strerror}") from error
    try:
        return _look(system, disk, descriptor)
    except OSError as error:
        raise ResourceDiskError(f"cannot read {node}: {error.strerror}") from error
    finally:
        os.close(descriptor)


def parse_export(text: str) -> dict[str, str]:
    """What ``blkid -o export`` printed, by name."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value.replace("\\", "") for name, sign, value in pairs if sign}


def _look(system: System, disk: str, descriptor: int) -> Facts:
    node = f"/dev/{disk}"
    size = os.lseek(descriptor, 0, os.SEEK_END)
    head = _read(descriptor, 0, min(tables.HEAD, size))
    width = usage.attribute(system, disk, "queue/logical_block_size")
    sector = int(width) if width in ("512", "1024", "2048", "4096") else 512
    table = tables.parse_table(head, sector=sector, size=size)
    whole = _probe(system, node, ())
    if whole.kind is None and not whole.problem:
        start = 0 if table.kind is tables.Kind.NONE else len(head)
        whole = _with_blankness(whole, descriptor, start, size)
    contents: tuple[tuple[int, Content], ...] = ()
    if len(table.partitions) <= MAX_PARTITIONS:
        contents = tuple(
            (one.number, _partition_content(system, node, descriptor, one))
            for one in table.partitions
        )
    is_read_only = usage.attribute(system, disk, "ro") == "1"
    return Facts(node, size, is_read_only, table, whole, contents)


def _partition_content(
    system: System, node: str, descriptor: int, partition: tables.Partition
) -> Content:
    where = ("-O", str(partition.start), "-S", str(partition.size))
    content = _probe(system, node, where)
    end = partition.start + partition.size
    if content.kind == "ntfs":

        def read(offset: int, length: int) -> bytes:
            at = partition.start + offset
            return _read(descriptor, at, min(length, end - at)) if at < end else b""

        try:
            found, problem = find_strangers(read), ""
        except NtfsError as error:
            found, problem = None, str(error)
        return Content("ntfs", content.label, content.uuid, strangers=found, problem=problem)
    if content.kind is None and not content.problem:
        return _with_blankness(content, descriptor, partition.start, end)
    return content


def _probe(system: System, node: str, where: tuple[str, ...]) -> Content:
    """What blkid says of a disk, or of a place on it."""
    try:
        result = system.run("blkid", "-p", "-o", "export", *where, node, timeout_s=BLKID_WITHIN_S)
    except CommandTimedOut as error:
        return Content(problem=str(error))
    found = parse_export(result.stdout)
    if result.ok and "TYPE" in found:
        return Content(found["TYPE"], found.get("LABEL", ""), found.get("UUID", ""))
    if result.ok and where and "PTTYPE" in found:
        return Content(f"{found['PTTYPE']} partition table")
    is_understood = result.ok and "DEVNAME" in found  # busybox's blkid takes all that it is told
    if is_understood or (result.code == NOTHING_FOUND and not result.stderr.strip()):
        return Content()
    said = " ".join(result.output.split()) or "nothing"
    hint = "; install blkid of util-linux" if result.ok or result.code == CANNOT_START else ""
    return Content(problem=f"blkid cannot tell what is on it ({result.code}: {said}){hint}")


def _with_blankness(content: Content, descriptor: int, start: int, end: int) -> Content:
    """Whether there are only zeros: at the start, at the end, and in many places between."""
    step = max(SAMPLE, (end - start) // SAMPLES)
    places = [(at, SAMPLE) for at in range(start, end, step)]
    for at, length in [(start, EDGE), (max(start, end - EDGE), EDGE), *places]:
        piece = _read(descriptor, at, min(length, end - at))
        if piece != bytes(len(piece)):
            return content
    return Content(content.kind, content.label, content.uuid, is_blank=True)


def _read(descriptor: int, offset: int, length: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < length:
        piece = os.pread(descriptor, length - len(pieces), offset + len(pieces))
        if not piece:
            break
        pieces += piece
    return bytes(pieces)
