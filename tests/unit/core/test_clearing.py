"""Folders are emptied without leaving them; mounts are in tests/integration/provisioning."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

import pytest

from waagent.core.clearing import MAX_DEPTH, empty_folder, remove_folder
from waagent.core.errors import GuestError
from waagent.core.mounts import mounts_from, parse_mount_id, parse_mounts, read_mounts

TABLE = """\
25 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
40 25 8:16 / /var/lib/waagent/with\\040blank rw - xfs /dev/sdb rw,attr2
41 25 0:40 / /var/lib/waagent2 rw,nosuid - tmpfs tmpfs rw
nonsense
"""


def test_all_goes_but_the_folder_and_what_links_point_to(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    (outside / "sub").mkdir(parents=True)
    (outside / "sub/file").write_text("precious")
    (folder / "a/b/c").mkdir(parents=True)
    (folder / "a/b/c/file").write_text("x")
    (folder / "a/link").symlink_to(outside)
    (folder / "link").symlink_to(outside / "sub/file")
    (folder / "broken").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    (folder / ".hidden").write_text("x")
    cleared = empty_folder(folder)
    assert list(folder.iterdir()) == []
    assert (outside / "sub/file").read_text() == "precious"
    assert (cleared.removed, cleared.spared, cleared.failed) == (9, (), ())


def test_names_that_are_kept_stay_and_the_last_go_last(tmp_path: Path) -> None:
    for name in ("a", "kept", "last"):
        (tmp_path / name).write_text("x")
    empty_folder(tmp_path, last=("last", "kept", "absent"), keep=("kept",))
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_folder_that_is_absent_is_empty(tmp_path: Path) -> None:
    assert empty_folder(tmp_path / "nowhere").removed == 0
    assert remove_folder(tmp_path / "nowhere").removed == 0


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_is_no_folder_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_text("x")
    place = tmp_path / "place"
    if kind == "link":
        place.symlink_to("real")
    else:
        place.write_text("x")
    with pytest.raises(GuestError, match="it has to be a folder, and no link"):
        empty_folder(place)
    assert (tmp_path / "real/file").exists()


def test_folder_that_is_nested_without_end_is_named_and_left(tmp_path: Path) -> None:
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        for _ in range(MAX_DEPTH + 2):
            Path("d").mkdir()
            os.chdir("d")
    finally:
        os.chdir(before)
    cleared = empty_folder(tmp_path)
    assert len(cleared.failed) == 1
    assert "nested" in str(cleared.failed[0])


def test_folder_itself_goes_if_all_in_it_went(tmp_path: Path) -> None:
    (tmp_path / "home/sub").mkdir(parents=True)
    assert remove_folder(tmp_path / "home").failed == ()
    assert list(tmp_path.iterdir()) == []


def test_table_of_mounts_is_read_with_its_blanks() -> None:
    mounts = parse_mounts(TABLE)
    assert [str(each.point) for each in mounts] == [
        "/",
        "/var/lib/waagent/with blank",
        "/var/lib/waagent2",
    ]
    assert str(mounts[1]) == "a mount point of /dev/sdb (xfs)"
    assert [each.is_in_memory for each in mounts] == [False, False, True]


def test_mounts_below_a_folder_are_those_at_it_or_in_it() -> None:
    found = mounts_from(parse_mounts(TABLE), Path("/var/lib/waagent"))
    assert [each.number for each in found] == [40]


def test_mounts_of_this_process_have_a_root() -> None:
    assert Path("/") in [each.point for each in read_mounts()]


@pytest.mark.parametrize(
    ("text", "number"),
    [("pos:\t0\nflags:\t02\nmnt_id:\t27\n", 27), ("pos:\t0\n", None), ("", None)],
)
def test_mount_of_an_open_file_is_unknown_where_the_kernel_is_old(
    text: str, number: Optional[int]
) -> None:
    assert parse_mount_id(text) == number
