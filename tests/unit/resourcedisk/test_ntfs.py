"""Which files an NTFS has that are not the platform's."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.resourcedisk.images import CLUSTER, FILE_TABLE, PLATFORMS, File, ntfs
from waagent.resourcedisk.ntfs import NtfsError, Read, find_strangers

PROFILE = settings(
    max_examples=150,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def reader(raw: bytes) -> Read:
    """Reads as from a partition of these bytes."""
    return lambda offset, length: raw[offset : offset + length]


def strangers(*files: File, record: int = 1024, pieces: int = 1) -> tuple[str, ...]:
    return find_strangers(reader(ntfs((*PLATFORMS, *files), record=record, pieces=pieces)))


@pytest.mark.parametrize("record", [1024, 4096])
@pytest.mark.parametrize("pieces", [1, 3])
def test_platforms_files_are_no_strangers(record: int, pieces: int) -> None:
    assert strangers(record=record, pieces=pieces) == ()


@pytest.mark.parametrize("record", [1024, 4096])
@pytest.mark.parametrize("pieces", [1, 2, 4])
def test_file_of_a_user_is_found_wherever_it_stands(record: int, pieces: int) -> None:
    filler = [File(f"gone{number}", in_use=False) for number in range(60)]
    found = strangers(*filler, File("thesis.doc", dos_name="THESIS~1.DOC"), record=record,
                      pieces=pieces)  # fmt: skip
    assert found == ("thesis.doc",)


def test_file_in_a_folder_is_named_with_its_folder() -> None:
    found = strangers(File("photos"), File("cat.jpg", parent=24 + len(PLATFORMS)))
    assert found == ("photos", "photos/cat.jpg")


def test_platforms_file_name_counts_only_in_the_top_folder() -> None:
    found = strangers(File("x"), File("DATALOSS_WARNING_README.txt", parent=24 + len(PLATFORMS)))
    assert found == ("x", "x/DATALOSS_WARNING_README.txt")


def test_what_is_in_the_recycle_bin_was_thrown_away() -> None:
    bin_number = 24 + len(PLATFORMS)
    assert strangers(File("$RECYCLE.BIN"), File("desktop.ini", parent=bin_number)) == ()


def test_file_without_a_name_is_somebodys() -> None:
    assert strangers(File("")) == (f"file {24 + len(PLATFORMS)}",)


def test_record_that_goes_on_with_another_is_no_file() -> None:
    assert strangers(File("", continues=24)) == ()


def test_folders_that_hold_each_other_are_somebodys() -> None:
    first = 24 + len(PLATFORMS)
    assert len(strangers(File("a", parent=first + 1), File("b", parent=first))) == 2


@pytest.mark.parametrize(
    ("at", "put"),
    [
        (3, b"EXFAT   "),
        (3, b"-FVE-FS-"),
        (11, b"\0\0"),
        (13, b"\0"),
        (48, b"\xff" * 8),
        (64, b"\x05"),
        (FILE_TABLE, b"BAAD"),
        (FILE_TABLE + 510, b"\x07\x07"),
        (FILE_TABLE + 30 * 1024, b"BAAD"),
    ],
)
def test_ntfs_that_is_damaged_or_none_cannot_be_told(at: int, put: bytes) -> None:
    raw = bytearray(ntfs([*PLATFORMS, File("a"), File("b"), File("c")]))
    raw[at : at + len(put)] = put
    with pytest.raises(NtfsError):
        find_strangers(reader(bytes(raw)))


def test_table_that_ends_behind_the_partition_cannot_be_told() -> None:
    with pytest.raises(NtfsError):
        find_strangers(reader(ntfs()[:-CLUSTER]))


@PROFILE
@given(st.data())
def test_reader_survives_whatever_stands_on_the_disk(data: st.DataObject) -> None:
    """It says what it found, or that it cannot tell; it never ends otherwise."""
    raw = bytearray(ntfs([*PLATFORMS, File("thesis.doc")]))
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(
            st.one_of(st.integers(0, 511), st.integers(FILE_TABLE, FILE_TABLE + 1023))
        )
        raw[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(NtfsError):
        assert isinstance(find_strangers(reader(bytes(raw))), tuple)


@PROFILE
@given(st.binary(max_size=2048))
def test_reader_survives_any_bytes(raw: bytes) -> None:
    with pytest.raises(NtfsError):
        find_strangers(reader(raw))
