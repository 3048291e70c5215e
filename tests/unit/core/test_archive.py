"""Archives of others: whole and inside of their folder, or an error and no trace."""

from __future__ import annotations

import io
import stat
import struct
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Union

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from waagent.core.archive import MAX_ENTRIES, ArchiveError, unpack

GOOD = {"HandlerManifest.json": b"{}", "bin/enable.sh": b"#!/bin/sh\n"}
LINK = stat.S_IFLNK | 0o777
WHY = r'^cannot unpack "a\.zip": '

Members = Mapping[str, bytes]


def zipped(members: Members, *, kind: int = 0, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive as bytes; entries may say that they are links or devices."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as package:
        for name, content in members.items():
            entry = zipfile.ZipInfo("x")
            entry.filename = name  # as it stands: ZipInfo() would cut it at a NUL
            entry.compress_type = compression
            entry.external_attr = kind << 16
            package.writestr(entry, content)
    return stream.getvalue()


def unpacked(place: Path, archive: Union[bytes, Members]) -> Path:
    """Unpack an archive into ``place/out``."""
    path = place / "a.zip"
    path.write_bytes(archive if isinstance(archive, bytes) else zipped(archive))
    unpack(path, place / "out")
    return place / "out"


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def refused(place: Path, archive: Union[bytes, Members]) -> ArchiveError:
    """The archive is refused, and only the archive is there afterwards."""
    with pytest.raises(ArchiveError, match=WHY) as caught:
        unpacked(place, archive)
    assert [entry.name for entry in place.iterdir()] == ["a.zip"]
    return caught.value


def test_archive_is_unpacked_with_its_folders(tmp_path: Path) -> None:
    """Every file may be run by its owner: packages made on Windows say nothing of it."""
    folder = unpacked(tmp_path, GOOD)
    assert tree(folder) == GOOD
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}
    assert modes == {0o744}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.zip", "out"]


def test_archive_folder_has_the_mode_that_was_asked_for(tmp_path: Path) -> None:
    """A folder with secrets is for root."""
    (tmp_path / "a.zip").write_bytes(zipped(GOOD))
    unpack(tmp_path / "a.zip", tmp_path / "out", mode=0o700)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700


def test_archive_gives_no_set_id_bit(tmp_path: Path) -> None:
    """Whatever the entry says."""
    folder = unpacked(tmp_path, zipped({"tool": b"x"}, kind=stat.S_IFREG | 0o6777))
    assert stat.S_IMODE((folder / "tool").stat().st_mode) == 0o744


def test_archive_with_windows_separators_becomes_folders(tmp_path: Path) -> None:
    """As publishers make them."""
    folder = unpacked(tmp_path, {"bin\\": b"", "bin\\a\\enable.cmd": b"x", "./b": b"y"})
    assert tree(folder) == {"bin/a/enable.cmd": b"x", "b": b"y"}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_archive_may_use_any_compression_that_python_knows(tmp_path: Path, method: int) -> None:
    """Publishers choose."""
    assert tree(unpacked(tmp_path, zipped(GOOD, compression=method))) == GOOD


def test_empty_archive_is_an_empty_folder(tmp_path: Path) -> None:
    """What is missing in it is for others to say."""
    assert tree(unpacked(tmp_path, {})) == {}
    assert (tmp_path / "out").is_dir()


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "bin/../../evil",
        "..\\evil",
        "bin\\..\\..\\evil",
        "/etc/evil",
        "//etc/evil",
        "\\etc\\evil",
        "C:\\evil",
        "C:evil",
        "..",
        "a/..",
    ],
)
def test_entry_that_would_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    """The whole archive is: whoever made it means no good."""
    place = tmp_path / "deep" / "er"
    place.mkdir(parents=True)
    error = refused(place, {**GOOD, name: b"evil"})
    assert "would leave the folder" in str(error)
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("kind", [LINK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_link_or_device_is_refused(tmp_path: Path, kind: int) -> None:
    """A link is the other way out of the folder."""
    assert '"here" is a link or a device' in str(
        refused(tmp_path, zipped({"here": b"/etc"}, kind=kind))
    )


def test_file_below_a_link_entry_is_not_written(tmp_path: Path) -> None:
    """The pair that leaves the folder with innocent names."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    stream = io.BytesIO(zipped({"d": str(elsewhere).encode()}, kind=LINK))
    with zipfile.ZipFile(stream, "a") as package:
        package.writestr("d/evil", "x")
    with pytest.raises(ArchiveError, match="link or a device"):
        unpacked(tmp_path, stream.getvalue())
    assert not list(elsewhere.iterdir())


@given(names=st.lists(st.text(alphabet="ab./\\:\0~", min_size=1, max_size=12), max_size=4))
@example(names=["a", "a/b"])
@example(names=[".", "a"])
@example(names=["a/../b"])
def test_archive_of_any_names_stays_inside_or_leaves_no_trace(names: list[str]) -> None:
    """Whatever a hostile name looks like."""
    with tempfile.TemporaryDirectory() as outer:
        place = Path(outer) / "lib"
        place.mkdir()
        (place / "a.zip").write_bytes(zipped(dict.fromkeys(names, b"x")))
        try:
            unpack(place / "a.zip", place / "out")
            expected = ["a.zip", "out"]
        except ArchiveError:
            expected = ["a.zip"]
        assert sorted(entry.name for entry in place.iterdir()) == expected
        assert [entry.name for entry in Path(outer).iterdir()] == ["lib"]


@given(data=st.binary(max_size=300), place=st.integers(0, 250))
def test_archive_with_any_damage_is_unpacked_or_refused(data: bytes, place: int) -> None:
    """No other error comes out, and nothing is left."""
    whole = zipped(GOOD)
    broken = whole[:place] + data + whole[place + len(data) :]
    with tempfile.TemporaryDirectory() as outer:
        try:
            unpacked(Path(outer), broken)
            expected = ["a.zip", "out"]
        except ArchiveError:
            expected = ["a.zip"]
        assert sorted(entry.name for entry in Path(outer).iterdir()) == expected


def test_truncated_archive_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    """A download that was cut short."""
    whole = zipped(GOOD)
    for length in range(0, len(whole), 7):
        assert "it is no whole zip" in str(refused(tmp_path, whole[:length]))


def test_changed_content_is_refused(tmp_path: Path) -> None:
    """Its checksum says so."""
    whole = zipped(GOOD, compression=zipfile.ZIP_STORED)
    assert "no whole zip" in str(refused(tmp_path, whole.replace(b"#!/bin/sh", b"#!/bin/no")))


def test_encrypted_archive_is_refused(tmp_path: Path) -> None:
    """Nobody told us a password."""
    data = bytearray(zipped({"a": b"x"}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert "encrypted" in str(refused(tmp_path, bytes(data)))


def test_archive_that_says_it_is_enormous_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """The sum counts, not each file."""
    data = bytearray(zipped({"a": b"x", "b": b"x"}))
    start = 0
    for _ in range(2):
        start = data.index(b"PK\x01\x02", start + 1)
        struct.pack_into("<I", data, start + 24, 0x90000000)
    assert "bytes unpacked" in str(refused(tmp_path, bytes(data)))


def test_entry_that_is_larger_than_it_says_is_refused(tmp_path: Path) -> None:
    """A bomb says that it is small; it is not believed, nor written."""
    data = bytearray(zipped({"a": bytes(3_000_000)}))
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 10)
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 16, 0)
    refused(tmp_path, bytes(data))


def test_archive_of_too_many_entries_is_refused(tmp_path: Path) -> None:
    """Each costs an inode."""
    end = bytearray(zipped({}))
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, *[0] * 7, 1, *[0] * 6) + b"a"
    count = MAX_ENTRIES + 1
    struct.pack_into("<HHII", end, 8, count, count, len(entry) * count, 0)
    assert f"over {MAX_ENTRIES} entries" in str(refused(tmp_path, entry * count + bytes(end)))


def test_folder_that_is_there_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """What an older package had and this one has not is gone."""
    unpacked(tmp_path, {"old": b"x"})
    assert tree(unpacked(tmp_path, GOOD)) == GOOD
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.zip", "out"]


def test_folder_that_is_there_is_kept_when_the_archive_is_refused(tmp_path: Path) -> None:
    """The handler of yesterday still works."""
    unpacked(tmp_path, {"old": b"x"})
    for bad in (zipped(GOOD)[:-30], zipped({**GOOD, "../evil": b""}), b"no zip"):
        with pytest.raises(ArchiveError):
            unpacked(tmp_path, bad)
        assert tree(tmp_path / "out") == {"old": b"x"}
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.zip", "out"]


def test_link_in_the_folders_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """What it points to is not ours."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_bytes(b"x")
    (tmp_path / "out").symlink_to(elsewhere)
    assert tree(unpacked(tmp_path, GOOD)) == GOOD
    assert not (tmp_path / "out").is_symlink()
    assert tree(elsewhere) == {"precious": b"x"}


def test_folder_with_a_name_as_long_as_can_be_is_unpacked(tmp_path: Path) -> None:
    """Publisher, type and version may be long."""
    (tmp_path / "a.zip").write_bytes(zipped(GOOD))
    unpack(tmp_path / "a.zip", tmp_path / ("n" * 255))
    assert tree(tmp_path / ("n" * 255)) == GOOD


def test_missing_archive_or_place_is_an_archive_error(tmp_path: Path) -> None:
    """Callers report it as a failed download."""
    with pytest.raises(ArchiveError, match="No such file"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    (tmp_path / "a.zip").write_bytes(zipped(GOOD))
    with pytest.raises(ArchiveError, match="No such file"):
        unpack(tmp_path / "a.zip", tmp_path / "missing" / "out")
    assert ArchiveError("x").for_fabric() == "[ExtensionDownloadError] x"
