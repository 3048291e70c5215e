"""Archives of other people: whole or not there, never outside of their folder, bounded."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Union

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from waagent.core import archive
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


def test_archive_becomes_a_folder_with_everything_in_it(tmp_path: Path) -> None:
    """Empty folders too; separators of Windows are understood."""
    entries: Entries = {
        "HandlerManifest.json": b"[]",
        "bin/run.sh": b"#!/bin/sh\n",
        "empty/": b"",
        "win\\dir\\": b"",
        "win\\dir\\tool.exe": b"MZ",
        "./dot/x": b"y",
    }
    unpack(make_zip(tmp_path / "p.zip", entries), tmp_path / "Ext-1.0")
    assert tree(tmp_path / "Ext-1.0") == {
        "HandlerManifest.json": b"[]",
        "bin/run.sh": b"#!/bin/sh\n",
        "win/dir/tool.exe": b"MZ",
        "dot/x": b"y",
    }
    assert (tmp_path / "Ext-1.0/empty").is_dir()
    assert names(tmp_path) == ["Ext-1.0", "p.zip"]


def test_entry_for_the_folder_itself_is_harmless(tmp_path: Path) -> None:
    """Some tools write one."""
    unpack(make_zip(tmp_path / "p.zip", {"./": b"", "a": b"b"}), tmp_path / "Ext-1.0")
    assert tree(tmp_path / "Ext-1.0") == {"a": b"b"}


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_compression_that_python_knows_is_unpacked(tmp_path: Path, kind: int) -> None:
    """Packages come from many tools."""
    package = make_zip(tmp_path / "p.zip", {"a": b"x" * 100_000}, kind=kind)
    unpack(package, tmp_path / "Ext-1.0")
    assert tree(tmp_path / "Ext-1.0") == {"a": b"x" * 100_000}


def test_every_file_can_be_executed_by_its_owner_and_set_id_bits_are_lost(tmp_path: Path) -> None:
    """What the reference does to each file (spec CLI 3.1); modes of the package do not count."""
    package = tmp_path / "p.zip"
    with zipfile.ZipFile(package, "w") as made:
        for name, mode in {"plain": 0o600, "setuid": 0o6777}.items():
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            entry.external_attr = (stat.S_IFREG | mode) << 16
            made.writestr(entry, b"x")
    folder = tmp_path / "Ext-1.0"
    unpack(package, folder, mode=0o700)
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in names(folder)}
    assert modes == {"plain": 0o744, "setuid": 0o744}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


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


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK])
def test_link_or_device_refuses_the_whole_archive(tmp_path: Path, kind: int) -> None:
    """A link would lead later entries elsewhere."""
    package = tmp_path / "p.zip"
    with zipfile.ZipFile(package, "w") as made:
        entry = zipfile.ZipInfo("odd")
        entry.create_system = 3
        entry.external_attr = (kind | 0o777) << 16
        made.writestr(entry, b"/etc/passwd")
    refused(package, match='"odd" is a link or a device')


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
    """The bytes of a zip with several kinds of compression."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "p.zip"
        with zipfile.ZipFile(path, "w") as package:
            for number, kind in enumerate((0, 8, 12, 14)):
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
    refused(tmp_path / "p.zip", match="encrypted")


def test_file_and_folder_of_one_name_refuse_the_archive(tmp_path: Path) -> None:
    """It cannot be both."""
    refused(make_zip(tmp_path / "p.zip", {"a": b"", "a/b": b""}), match="p.zip")


def test_older_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Also where a file or a link has its name."""
    folder = tmp_path / "Ext-1.0"
    package = make_zip(tmp_path / "p.zip", {"new": b"n"})
    folder.mkdir()
    (folder / "old").write_bytes(b"o")
    unpack(package, folder)
    assert tree(folder) == {"new": b"n"}
    (folder / "new").unlink()
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_bytes(b"k")
    folder.symlink_to("elsewhere")
    unpack(package, folder)
    assert (not folder.is_symlink(), tree(folder)) == (True, {"new": b"n"})
    assert tree(tmp_path / "elsewhere") == {"kept": b"k"}
    assert names(tmp_path) == ["Ext-1.0", "elsewhere", "p.zip"]


def test_older_folder_stays_when_the_archive_is_refused(tmp_path: Path) -> None:
    """What works goes on working."""
    (tmp_path / "Ext-1.0").mkdir()
    (tmp_path / "Ext-1.0/old").write_bytes(b"o")
    refused(make_zip(tmp_path / "p.zip", {"../x": b""}), match="would leave")
    assert tree(tmp_path / "Ext-1.0") == {"old": b"o"}


def test_folder_with_a_long_name_can_be_unpacked(tmp_path: Path) -> None:
    """The staging folder's name is shorter than its own."""
    package = make_zip(tmp_path / "p.zip", {"a": b"x"})
    unpack(package, tmp_path / ("n" * 255))
    assert tree(tmp_path / ("n" * 255)) == {"a": b"x"}


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
    package = make_zip(tmp_path / "p.zip", {})
    count = archive.MAX_ENTRIES + 1
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, *[0] * 7, 1, *[0] * 6) + b"a"
    end = bytearray(package.read_bytes())
    struct.pack_into("<HHII", end, 8, count, count, len(entry) * count, 0)
    package.write_bytes(entry * count + bytes(end))  # the directory alone: it is looked at first
    refused(package, match=f"over {archive.MAX_ENTRIES} entries")


def test_unpacking_needs_little_memory_for_a_large_file(tmp_path: Path) -> None:
    """In a process of its own, whose peak says it all."""
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("large", b"0" * 200_000_000)
    script = """
import sys, tracemalloc
from pathlib import Path
from waagent.core.archive import unpack
tracemalloc.start()
unpack(Path(sys.argv[1]) / "p.zip", Path(sys.argv[1]) / "Ext-1.0")
print(tracemalloc.get_traced_memory()[1])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=True
    )
    assert int(done.stdout) < 8 * 1024 * 1024
    assert os.path.getsize(tmp_path / "Ext-1.0/large") == 200_000_000  # noqa: PTH202
