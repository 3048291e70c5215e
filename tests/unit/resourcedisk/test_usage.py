"""What the kernel says of mounts and swap, and what we remember, as values."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from waagent.core.mounts import parse_mounts
from waagent.resourcedisk.contents import parse_export
from waagent.resourcedisk.partition import mkfs_command
from waagent.resourcedisk.record import Record, parse_record
from waagent.resourcedisk.usage import Swap, parse_swaps, partition_name

PROFILE = settings(
    max_examples=100,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def test_swaps_are_the_lines_below_the_heading() -> None:
    text = "Filename Type Size Used Priority\n/a\\040b file 1 0 -2\n/dev/sdb2 partition 1 0 -3\n"
    assert parse_swaps(text) == (Swap("/a b", "file"), Swap("/dev/sdb2", "partition"))
    assert parse_swaps("") == ()


@pytest.mark.parametrize(
    ("disk", "name"), [("sdb", "sdb1"), ("nvme0n1", "nvme0n1p1"), ("loop3", "loop3p1")]
)
def test_partition_is_named_as_the_kernel_names_it(disk: str, name: str) -> None:
    assert partition_name(disk, 1) == name


@pytest.mark.parametrize(
    ("filesystem", "flags"),
    [
        *(("ext3", ["-F"]), ("ext4", ["-F"]), ("xfs", ["-f"]), ("btrfs", ["-f"])),
        *(("f2fs", ["-f"]), ("vfat", []), ("ntfs", ["-F", "-Q"])),
    ],
)
def test_mkfs_has_the_flag_that_it_understands(filesystem: str, flags: list[str]) -> None:
    assert mkfs_command(filesystem, "/dev/sdb1") == (f"mkfs.{filesystem}", *flags, "/dev/sdb1")


def test_label_of_blkid_may_have_anything_in_it() -> None:
    assert parse_export("TYPE=ntfs\nLABEL=a\\ b=c\nnonsense\n") == {
        "TYPE": "ntfs",
        "LABEL": "a b=c",
    }


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ('{"table": "1f", "filesystem": "u"}', Record("1f", "u")),
        ('{"table": "1f", "filesystem": null}', Record("1f", None)),
        ('{"table": ""}', None),
        ('{"table": 1}', None),
        ("[]", None),
        ("", None),
        ("[" * 9999, None),
    ],
)
def test_record_that_cannot_be_read_is_none(text: str, record: object) -> None:
    assert parse_record(text) == record


@PROFILE
@given(st.text(alphabet=st.sampled_from("/ -\\0123456789abc:\n"), max_size=200))
def test_tables_of_the_kernel_are_read_whatever_is_in_them(text: str) -> None:
    assert isinstance(parse_mounts(text), tuple)
    assert isinstance(parse_swaps(text), tuple)
    assert isinstance(parse_export(text), dict)
