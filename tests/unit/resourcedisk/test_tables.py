"""Partition tables as values."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.resourcedisk.images import BASIC_DATA, DISK, MIB, RESERVED, Part, gpt, mbr, ntfs
from waagent.resourcedisk.tables import Kind, Partition, Table, parse_table

SIZE = 64 * MIB
PROFILE = settings(
    max_examples=200,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TWO = (Part(1, MIB, 16 * MIB, RESERVED), Part(2, 17 * MIB, 40 * MIB, BASIC_DATA))


def parsed(head: bytes, sector: int = 512) -> Table:
    return parse_table(head, sector=sector, size=SIZE)


@pytest.mark.parametrize("sector", [512, 4096])
def test_mbr_has_its_partitions_in_bytes(sector: int) -> None:
    table = parsed(mbr(Part(1, MIB, 60 * MIB), sector=sector), sector)
    assert table == Table(Kind.DOS, "00c0ffee", (Partition(1, MIB, 60 * MIB, "7"),))


@pytest.mark.parametrize("sector", [512, 4096])
def test_gpt_has_its_partitions_in_bytes(sector: int) -> None:
    table = parsed(gpt(*TWO, sector=sector), sector)
    assert table.kind is Kind.GPT
    assert table.identity == DISK
    assert table.partitions == (
        Partition(1, MIB, 16 * MIB, RESERVED),
        Partition(2, 17 * MIB, 40 * MIB, BASIC_DATA),
    )


def test_empty_tables_are_tables() -> None:
    assert parsed(gpt()).kind is Kind.GPT
    assert parsed(mbr()).kind is Kind.DOS


def test_mbr_without_a_number_has_no_identity() -> None:
    assert parsed(mbr(identity=0)).identity == ""


@pytest.mark.parametrize("head", [b"", bytes(512), bytes(MIB), b"\x55\xaa" * 255, bytes(510)])
def test_what_is_no_table_is_none(head: bytes) -> None:
    assert parsed(head) == Table(Kind.NONE)


def test_boot_sector_is_no_partition_table() -> None:
    """It ends as an MBR does; where that has its partitions it has code."""
    boot = bytearray(ntfs()[:512])
    boot[446:510] = b"\xe8\x1e\x00\x4f" * 16
    assert parsed(bytes(boot)).kind is Kind.NONE


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (mbr(Part(1, MIB, 64 * MIB)), "ends behind the disk"),
        (mbr(Part(1, MIB, 9 * MIB), Part(2, 5 * MIB, MIB)), "overlaps another"),
        (mbr(Part(1, 0, MIB)), "an impossible place"),
        (mbr(Part(1, 512, 63 * MIB, "ee")), "a protective MBR without its GPT"),
        (bytes(512) + gpt(*TWO)[512:], "a GPT without its protective MBR"),
        (gpt(*TWO)[:572], "cut short"),
        (gpt(*TWO)[:2000], "wrong checksum"),
        (gpt(*TWO, Part(3, 18 * MIB, MIB, BASIC_DATA)), "overlaps another"),
    ],
    ids=lambda value: value if isinstance(value, str) else "head",
)
def test_half_a_table_is_damaged_and_says_how(head: bytes, problem: str) -> None:
    table = parsed(head)
    assert table.kind is Kind.DAMAGED
    assert problem in table.problem
    assert table.partitions == ()


@pytest.mark.parametrize(
    "at", [512 + 8, 512 + 16, 512 + 40, 512 + 72, 512 + 80, 512 + 84, 1024 + 33]
)
def test_changed_byte_of_a_gpt_is_noticed(at: int) -> None:
    head = bytearray(gpt(*TWO))
    head[at] ^= 0x41
    assert parsed(bytes(head)).kind is Kind.DAMAGED


@PROFILE
@given(st.data())
def test_parser_survives_mutants_and_lists_no_impossible_partition(data: st.DataObject) -> None:
    head = bytearray(data.draw(st.sampled_from([gpt(*TWO), mbr(Part(1, MIB, 60 * MIB)), mbr()])))
    for _ in range(data.draw(st.integers(1, 6))):
        head[data.draw(st.integers(0, min(len(head), 1400) - 1))] = data.draw(st.integers(0, 255))
    table = parsed(bytes(head))
    for one in table.partitions:
        assert 0 < one.start < one.start + one.size <= SIZE


@PROFILE
@given(st.binary(max_size=1500))
def test_parser_survives_any_bytes(head: bytes) -> None:
    assert isinstance(parsed(head), Table)
