"""Archives of other people: what is unpacked, whole and in its folder."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pytest

from tests.unit.core.zips import Entries, make_zip, names, put_special, tree
from waagent.core import archive
from waagent.core.archive import ArchiveError, unpack


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


def test_stored_entries_are_unpacked_like_deflated_ones(tmp_path: Path) -> None:
    """Tools store what does not get smaller."""
    package = make_zip(tmp_path / "p.zip", {"a": b"x" * 100_000}, kind=zipfile.ZIP_STORED)
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


@pytest.mark.parametrize("name", ["ab:c", "ab:/c", "new\nline", "bell\a", "-rf", " ", "~", "$(id)"])
def test_entry_with_an_unusual_but_harmless_name_is_unpacked(tmp_path: Path, name: str) -> None:
    """What it is called is the package's affair as long as it stays inside."""
    unpack(make_zip(tmp_path / "p.zip", {name: b"x"}), tmp_path / "Ext-1.0")
    assert tree(tmp_path / "Ext-1.0") == {name: b"x"}


@pytest.mark.parametrize("target", ["real", "../lib/real", "./real", "nowhere", "\udcff"])
def test_link_within_the_package_becomes_a_file_with_its_text(tmp_path: Path, target: str) -> None:
    """As the reference has it (spec EXT 3.4); a link is never made."""
    text = target.encode("utf-8", "surrogateescape")
    package = put_special(tmp_path / "p.zip", "lib/real.so", stat.S_IFLNK, text)
    unpack(package, tmp_path / "Ext-1.0")
    assert tree(tmp_path / "Ext-1.0") == {"lib/real": b"real", "lib/real.so": text}
    assert not any(path.is_symlink() for path in (tmp_path / "Ext-1.0").rglob("*"))


def test_hard_link_of_a_package_is_a_file_of_its_own(tmp_path: Path) -> None:
    """Some tools name its target in an extra field, which nobody follows."""
    (tmp_path / "victim").write_bytes(b"precious")
    entry = zipfile.ZipInfo("hard")
    target = b"../victim"
    entry.extra = struct.pack("<HHIIHH", 0x000D, 12 + len(target), 0, 0, 0, 0) + target
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as made:
        made.writestr(entry, b"evil")
    unpack(tmp_path / "p.zip", tmp_path / "Ext-1.0")
    assert tree(tmp_path / "Ext-1.0") == {"hard": b"evil"}
    assert (tmp_path / "Ext-1.0/hard").stat().st_nlink == 1
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_folder_without_a_slash_at_its_end_is_a_folder(tmp_path: Path) -> None:
    """Its mode says what it is."""
    unpack(put_special(tmp_path / "p.zip", "empty", stat.S_IFDIR, b""), tmp_path / "Ext-1.0")
    assert (tmp_path / "Ext-1.0/empty").is_dir()


def test_name_that_comes_twice_is_the_last_one(tmp_path: Path) -> None:
    """As everybody unpacks it; names that differ in case are two."""
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "p.zip", "w") as made:
        warnings.simplefilter("ignore")
        for name, content in (("a", b"1"), ("A", b"2"), ("a", b"3"), (".\\a", b"4")):
            made.writestr(name, content)
    unpack(tmp_path / "p.zip", tmp_path / "Ext-1.0")
    assert tree(tmp_path / "Ext-1.0") == {"a": b"4", "A": b"2"}


def test_name_that_is_no_text_is_understood_as_ever(tmp_path: Path) -> None:
    """Without the flag for UTF-8 it is of the alphabet of DOS; with it, it has to be UTF-8."""
    data = make_zip(tmp_path / "p.zip", {"XY": b"x"}).read_bytes()
    (tmp_path / "p.zip").write_bytes(data.replace(b"XY", b"\xff\xfe"))
    unpack(tmp_path / "p.zip", tmp_path / "Ext-1.0")
    assert len(tree(tmp_path / "Ext-1.0")) == 1
    marked = bytearray(data.replace(b"XY", b"\xff\xfe"))
    for signature, offset in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):
        marked[marked.index(signature) + offset] |= 8
    (tmp_path / "p.zip").write_bytes(marked)
    with pytest.raises(ArchiveError, match="no whole zip"):
        unpack(tmp_path / "p.zip", tmp_path / "Ext-1.1")


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


def test_folder_with_a_long_name_can_be_unpacked(tmp_path: Path) -> None:
    """The staging folder's name is shorter than its own."""
    package = make_zip(tmp_path / "p.zip", {"a": b"x"})
    unpack(package, tmp_path / ("n" * 255))
    assert tree(tmp_path / ("n" * 255)) == {"a": b"x"}


def test_archive_with_as_many_entries_as_may_be_is_unpacked(tmp_path: Path) -> None:
    """Each of them."""
    entries: Entries = {f"f{number}": b"" for number in range(archive.MAX_ENTRIES - 1)}
    unpack(make_zip(tmp_path / "p.zip", entries), tmp_path / "Ext-1.0")
    assert len(names(tmp_path / "Ext-1.0")) == archive.MAX_ENTRIES - 1


def test_unpacking_needs_little_memory_for_a_large_file(tmp_path: Path) -> None:
    """In a process of its own, whose peak says it all."""
    noise = os.urandom(100_000)
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("large", (noise + bytes(900_000)) * 64)
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
    assert int(done.stdout) < 2 * 1024 * 1024
    assert os.path.getsize(tmp_path / "Ext-1.0/large") == 64_000_000  # noqa: PTH202
