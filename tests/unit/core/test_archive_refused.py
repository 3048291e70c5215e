"""Archives of other people that are refused: nothing of them is left, and the reason is told."""

from __future__ import annotations

import os
import stat
import struct
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.core.zips import Entries, directory_of, make_zip, names, put_special, refused, tree
from waagent.core import archive
from waagent.core.archive import ArchiveError, unpack


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_is_refused(tmp_path: Path, kind: int) -> None:
    """A few hundred bytes would take gigabytes of memory, and no publisher's tool makes them."""
    package = make_zip(tmp_path / "p.zip", {"a": b"x" * 100_000}, kind=kind)
    refused(package, match=f'"a" is compressed by method {kind}; only deflate is known')


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/x", "..\\x", "a\\..\\..\\x", "C:/x", "c:x", "//server/x", "..", ""],
)
def test_entry_that_would_leave_the_folder_refuses_the_whole_archive(
    tmp_path: Path, name: str
) -> None:
    """Nothing of it is unpacked; the entry is named."""
    package = make_zip(tmp_path / "p.zip", {"good": b"", name: b"evil"})
    refused(package, match="would leave the folder")


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_device_refuses_the_whole_archive(tmp_path: Path, kind: int) -> None:
    """Nobody needs one in a package."""
    package = put_special(tmp_path / "p.zip", "odd", kind, b"")
    refused(package, match='"odd" is a device, a pipe or a socket')


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../../victim", "../..", "../lib/../..", "", "//x"]
)
def test_link_that_leaves_the_folder_refuses_the_whole_archive(tmp_path: Path, target: str) -> None:
    """It would lead others out of it, if it were made."""
    package = put_special(tmp_path / "p.zip", "lib/odd", stat.S_IFLNK, target.encode())
    refused(package, match='"lib/odd" is a link that would leave the folder')


def test_hostile_name_is_shown_in_one_short_line(tmp_path: Path) -> None:
    """It goes to the log and to the portal."""
    package = make_zip(tmp_path / "p.zip", {"../\n\x1b[2J\u202e" + "a" * 5000: b""})
    with pytest.raises(ArchiveError) as caught:
        unpack(package, tmp_path / "Ext-1.0")
    assert str(caught.value).isprintable()
    assert r"../\n\x1b[2J\u202eaaa" in str(caught.value)
    assert len(str(caught.value)) < 250


PIECES = st.sampled_from(["a", "b", "..", ".", "/", "\\", "C:", "etc", "//", " ", "\u00fc"])
NAMES = st.lists(PIECES, min_size=1, max_size=6).map("".join)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(NAMES, st.one_of(st.just(b"evil"), st.just("../../victim")), max_size=5))
def test_archive_never_writes_outside_of_its_folder(entries: Entries) -> None:
    """Whatever its names and links; it is unpacked whole or there is nothing."""
    with tempfile.TemporaryDirectory() as name:
        outer = Path(name)
        (outer / "victim").write_bytes(b"precious")
        (outer / "inner").mkdir()
        folder = outer / "inner" / "Ext-1.0"
        package = make_zip(outer / "p.zip", entries)
        try:
            unpack(package, folder)
        except ArchiveError:
            assert names(outer / "inner") == []
        else:
            assert names(outer / "inner") == ["Ext-1.0"]
            assert not any(path.is_symlink() for path in folder.rglob("*"))
        assert names(outer) == ["inner", "p.zip", "victim"]
        assert (outer / "victim").read_bytes() == b"precious"


def good_zip() -> bytes:
    """The bytes of a zip with both kinds of compression."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "p.zip"
        with zipfile.ZipFile(path, "w") as package:
            for number, kind in enumerate((0, 8, 0, 8)):
                package.writestr(f"f{number}", b"some text " * 20, compress_type=kind)
        return path.read_bytes()


GOOD = good_zip()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, len(GOOD)),
)
@example([(0, 0)], 0)
def test_broken_archive_is_an_archive_error_and_leaves_nothing(
    changes: list[tuple[int, int]], cut: int
) -> None:
    """Any bytes changed, or cut off at any place; no other kind of error."""
    data = bytearray(GOOD)
    for place, value in changes:
        data[place] = value
    with tempfile.TemporaryDirectory() as name:
        package = Path(name) / "p.zip"
        package.write_bytes(data[cut // 2 :] if cut % 2 else data)
        try:
            unpack(package, Path(name) / "Ext-1.0")
        except ArchiveError:
            assert names(Path(name)) == ["p.zip"]
        else:
            assert names(Path(name)) == ["Ext-1.0", "p.zip"]


def test_archive_that_is_missing_or_has_nowhere_to_go_is_an_archive_error(tmp_path: Path) -> None:
    """The reason is the kernel's."""
    with pytest.raises(ArchiveError, match="No such file"):
        unpack(tmp_path / "none.zip", tmp_path / "Ext-1.0")
    package = make_zip(tmp_path / "p.zip", {"a": b""})
    with pytest.raises(ArchiveError, match="No such file"):
        unpack(package, tmp_path / "missing" / "Ext-1.0")
    assert names(tmp_path) == ["p.zip"]


def test_encrypted_archive_is_an_archive_error(tmp_path: Path) -> None:
    """Nobody gave us a password."""
    data = bytearray(make_zip(tmp_path / "p.zip", {"a": b"x"}).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    (tmp_path / "p.zip").write_bytes(data)
    refused(tmp_path / "p.zip", match='"a" is encrypted')


def test_file_and_folder_of_one_name_refuse_the_archive(tmp_path: Path) -> None:
    """It cannot be both."""
    refused(make_zip(tmp_path / "p.zip", {"a": b"", "a/b": b""}), match="p.zip")


def test_older_folder_stays_when_the_archive_is_refused(tmp_path: Path) -> None:
    """What works goes on working."""
    (tmp_path / "Ext-1.0").mkdir()
    (tmp_path / "Ext-1.0/old").write_bytes(b"o")
    refused(make_zip(tmp_path / "p.zip", {"../x": b""}), match="would leave")
    assert tree(tmp_path / "Ext-1.0") == {"old": b"o"}


def test_entry_that_says_it_is_smaller_than_it_is_is_refused(tmp_path: Path) -> None:
    """A bomb hides behind such a size."""
    package = make_zip(tmp_path / "p.zip", {"bomb": b"0" * 50_000_000})
    data = bytearray(package.read_bytes())
    struct.pack_into("<L", data, data.index(b"PK\x01\x02") + 24, 10)
    struct.pack_into("<L", data, data.index(b"PK\x03\x04") + 22, 10)
    package.write_bytes(data)
    refused(package, match="p.zip")


def test_archive_that_would_fill_the_disk_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    """The sizes it states count together."""
    data = bytearray(make_zip(tmp_path / "p.zip", {"a": b"x", "b": b"y"}).read_bytes())
    place = 0
    for _ in range(2):
        place = data.index(b"PK\x01\x02", place + 1)
        struct.pack_into("<L", data, place + 24, archive.MAX_TOTAL // 2 + 1)
    (tmp_path / "p.zip").write_bytes(data)
    refused(tmp_path / "p.zip", match="bytes unpacked")


def test_archive_with_too_many_entries_is_refused(tmp_path: Path) -> None:
    """Inodes run out before bytes do."""
    package = directory_of(tmp_path / "p.zip", archive.MAX_ENTRIES, b"a")
    refused(package, match="10000 entries, and 10000 are too many")


def test_directory_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    """It is read as a whole, and each entry is an object."""
    package = directory_of(tmp_path / "p.zip", 300, b"a" * 20_000)
    refused(package, match=f"its directory is over {archive.MAX_DIRECTORY} bytes")


def test_bomb_is_refused_by_what_it_says(tmp_path: Path) -> None:
    """Nothing that somebody needs gets a thousand times smaller."""
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("zeros", bytes(archive.PLAIN_TOTAL + 1))
    refused(tmp_path / "p.zip", match=r"\d+ bytes that become 134217729 are a bomb")


def test_archive_that_the_disk_has_no_room_for_is_refused_before_it_is_full() -> None:
    """Others write to the same disk."""
    disk = os.statvfs("/")
    entry = zipfile.ZipInfo("a")
    entry.file_size = 10
    full = os.statvfs_result((4096, 4096, 100, 50, 0, *disk[5:]))
    assert archive.find_excess([entry], 10, disk) is None
    assert archive.find_excess([entry], 10, full) == (
        "No space left on device: 10 bytes are needed, 0 are free"
    )


@pytest.mark.parametrize("depth", [101, 1500])
def test_folders_without_end_are_refused(tmp_path: Path, depth: int) -> None:
    """Whoever removes them again would come to his own end."""
    package = make_zip(tmp_path / "p.zip", {"a/" * depth: b""})
    refused(package, match="is nested more than 100 deep")
