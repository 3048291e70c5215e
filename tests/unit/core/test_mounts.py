"""The table of mounts, as values; what is done with it is in test_clearing and in the rooms."""

from __future__ import annotations

from pathlib import Path

import pytest

from waagent.core.mounts import Mount, mounts_from, parse_mounts


def test_mounts_have_their_names_without_escapes() -> None:
    text = (
        "36 35 8:17 / /mnt/my\\040disk rw,noatime master:1 - ext4 /dev/sdb1 rw\n"
        "37 35 0:31 /@ / rw - btrfs /dev/sda2 rw,subvol=/@\n"
        "no such line\n"
    )
    assert parse_mounts(text) == (
        Mount(36, Path("/mnt/my disk"), "/dev/sdb1", "ext4", "8:17"),
        Mount(37, Path("/"), "/dev/sda2", "btrfs", "0:31"),
    )


@pytest.mark.parametrize("name", ["jürgen", "日本", "a\u2028b", "a\x0bb", "a\x85b"], ids=ascii)
def test_mount_is_found_whatever_letters_are_in_its_name(name: str) -> None:
    table = f"36 35 8:17 / /home/{name}/data rw - ext4 /dev/sdb1 rw\n"
    found = mounts_from(parse_mounts(table), Path("/home") / name)
    assert [str(each.point) for each in found] == [f"/home/{name}/data"]
