"""The resource disk at a start of the daemon (spec DAEMON 2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.init.vmbus import SCSI, Disk
from tests.support.spool import spooled
from tests.unit.resourcedisk.images import (
    LINUX,
    MIB,
    File,
    Part,
    gpt,
    mbr,
    ntfs,
)
from tests.unit.resourcedisk.world import (
    EXT4,
    FORMAT,
    GEN2,
    MOUNTED,
    PLATFORMS_GPT,
    POINT,
    SWAP,
    WHOLE,
    World,
    errors,
)
from waagent.resourcedisk.mounting import README


@pytest.mark.parametrize("head", [mbr(WHOLE), PLATFORMS_GPT], ids=["mbr", "gpt"])
def test_platforms_disk_is_formatted_and_mounted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, head: bytes
) -> None:
    world = World(tmp_path, head)
    world.prepare()
    assert MOUNTED in caplog.text
    assert errors(caplog) == []
    assert "temporary disk".upper() in world.guest.file(f"{POINT}/{README}")
    assert "made-by-us" in world.guest.file("/var/lib/waagent/resource_disk.json")


def test_log_tells_each_step_in_the_words_that_tools_search_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    World(tmp_path).prepare()
    assert caplog.messages == [
        "Activate resource disk",
        "Searching gen1 prefix 00000000-0001 or gen2 f8b3781a-1e82-4818-a1c3-63d806ec15bb",
        "Found device: sdb",
        "Examining partition table",
        "GPT not detected, determining filesystem",
        "The partition type is 7",
        "Formatting /dev/sdb: it is as the platform delivered it",
        "The partition is formatted with ntfs, updating partition type to 83",
        "sfdisk --part-type /dev/sdb 1 83 succeeded",
        "Format partition [mkfs.ext4 -F /dev/sdb1]",
        "Mount resource disk [mount -t ext4 /dev/sdb1 /mnt/resource]",
        MOUNTED,
    ]


def test_platforms_gpt_becomes_one_partition(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, PLATFORMS_GPT)
    world.prepare()
    assert world.changed == ["sfdisk", "mkfs.ext4"]
    for said in ("Found 2 GPT partition(s).", "Removing old GPT partitions"):
        assert said in caplog.messages
    assert "Creating new GPT partition" in caplog.messages


def test_disk_of_the_second_generation_is_found_by_its_lun(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    World(tmp_path, disk=GEN2).prepare()
    assert MOUNTED in caplog.text


def test_os_disk_on_the_same_controller_is_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, disk=Disk("sdb", SCSI.format("a"), "0:0:0:0", partitions=(1,)))
    world.prepare()
    assert "This VM has no resource disk" in caplog.messages
    assert world.runner.ran == []


def test_vm_without_the_disk_says_so_once_and_reports_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, disk=None, conf=SWAP)
    world.guest.write("/sys/class/nvme/nvme1/model", "Microsoft NVMe Direct Disk              \n")
    world.prepare()
    assert caplog.messages[-1] == (
        "This VM has no resource disk, so no swap file is made;"
        " its local NVMe disks are left as they are: nvme1"
    )
    assert errors(caplog) == []
    assert list(spooled(world.context(SWAP).paths.events)) == []


def test_blank_disk_gets_a_partition(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world = World(tmp_path, b"", b"", "")
    world.prepare()
    assert world.changed == ["sfdisk", "mkfs.ext4"]
    assert MOUNTED in caplog.text


def test_next_start_mounts_what_was_made_and_formats_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path)
    world.prepare()
    world.guest.write("/proc/self/mountinfo", world.mounts)
    made = world.changed
    world.prepare()
    assert world.changed == made
    assert caplog.text.count(MOUNTED) == 2


def test_disk_that_is_mounted_elsewhere_is_used_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, mounts="20 1 8:2 / /mnt rw - ext4 /dev/sdb1 rw\n")
    world.prepare()
    assert "Resource disk [/dev/sdb1] is already mounted [/mnt]" in caplog.messages
    assert world.guest.path(f"/mnt/{README}").exists()
    assert world.runner.ran == []


def test_disk_with_a_name_that_begins_the_same_is_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    World(tmp_path, mounts="20 1 8:70 / /boot rw - ext4 /dev/sdbc1 rw\n").prepare()
    assert MOUNTED in caplog.text


LEFT_ALONE: list[tuple[bytes, bytes, str, str]] = [
    (mbr(WHOLE), ntfs([File("thesis.doc")]), "TYPE=ntfs\n", "the platform's (thesis.doc)"),
    (mbr(WHOLE), b"\1" * 9, "TYPE=ntfs\nLABEL=Temporary Storage\n", "cannot be told"),
    (mbr(WHOLE), b"\1" * 9, "TYPE=xfs\nLABEL=data\n", 'holds xfs "data"'),
    (mbr(WHOLE), b"\1" * 9, "TYPE=LVM2_member\n", "holds LVM2_member"),
    (mbr(WHOLE), b"\1" * 9, "TYPE=crypto_LUKS\n", "holds crypto_LUKS"),
    (mbr(WHOLE), b"\1" * 9, "TYPE=linux_raid_member\n", "holds linux_raid_member"),
    (mbr(WHOLE), b"\1" * 9, "TYPE=swap\n", "holds swap"),
    (mbr(WHOLE), b"\1" * 9, "PTTYPE=dos\n", "holds dos partition table"),
    (mbr(WHOLE), b"\1" * 9, "", "data without a known signature"),
    (b"\1", b"", "", "no partition table, but is not blank"),
    (mbr(), b"\1", "", "is not blank"),
    (PLATFORMS_GPT[:1100], b"", "", "a GPT whose entries have a wrong checksum"),
    (gpt(Part(1, MIB, MIB, LINUX), Part(2, 2 * MIB, MIB, LINUX)), b"", "", "data without"),
    (gpt(Part(2, MIB, MIB, LINUX), Part(3, 2 * MIB, MIB, LINUX)), b"", "", "no first one"),
]


@pytest.mark.parametrize(
    ("head", "content", "kind", "said"), LEFT_ALONE, ids=range(len(LEFT_ALONE))
)
def test_what_holds_anybodys_data_is_left_alone(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    head: bytes,
    content: bytes,
    kind: str,
    said: str,
) -> None:
    world = World(tmp_path, head, content, kind)
    before = world.guest.path("/dev/sdb").read_bytes()
    world.prepare()
    (error,) = errors(caplog)
    assert said in error
    assert error.startswith("Failed to mount resource disk [ResourceDiskError] cannot use /dev/sdb")
    assert "restart the agent" in error
    assert world.changed == []
    assert world.guest.path("/dev/sdb").read_bytes() == before
    (event,) = spooled(world.context(FORMAT).paths.events)
    assert event["Operation"] == "ActivateResourceDisk"
    assert not event["OperationSuccess"]


def test_whole_disk_that_is_a_file_system_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path)
    world.kinds[""] = "TYPE=ext4\nLABEL=data\n"
    world.prepare()
    assert '/dev/sdb holds ext4 "data"' in errors(caplog)[0]
    assert world.changed == []


@pytest.mark.parametrize(
    ("mounts", "swaps", "said"),
    [
        ("20 1 8:2 / / rw - ext4 /dev/sdb1 rw\n", "", "the system's / is on it"),
        ("20 1 0:40 /@ / rw - btrfs /dev/sdb1 rw\n", "", "the system's / is on it"),
        ("20 1 8:2 / /boot/efi rw - vfat /dev/sdb1 rw\n", "", "the system's /boot/efi is on it"),
        ("", "heading\n/dev/sdb1 partition 9 0 -2\n", "/dev/sdb1 is swap"),
        ("20 1 8:9 / /mnt/resource rw - ext4 /dev/sdc1 rw\n", "", "/dev/sdc1 is mounted there"),
    ],
)
def test_disk_or_place_that_is_in_use_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mounts: str, swaps: str, said: str
) -> None:
    world = World(tmp_path, mounts=mounts, swaps=swaps)
    world.prepare()
    assert said in errors(caplog)[0]
    assert world.runner.ran == []


@pytest.mark.parametrize("name", ["sdb", "sdb1"])
def test_disk_that_is_part_of_another_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    world = World(tmp_path)
    (world.guest.path(f"/sys/class/block/{name}/holders") / "dm-0").mkdir()
    world.prepare()
    assert f"{name} is part of dm-0" in errors(caplog)[0]
    assert world.runner.ran == []


def test_member_of_a_btrfs_that_is_mounted_by_another_name_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path)
    world.guest.write("/sys/fs/btrfs/an-id/devices/sdb1", "")
    world.prepare()
    assert "part of the btrfs file system an-id" in errors(caplog)[0]


def test_read_only_disk_is_not_formatted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world = World(tmp_path)
    (world.guest.path("/sys/class/block/sdb") / "ro").write_text("1\n")
    world.prepare()
    assert "it is read-only" in errors(caplog)[0]
    assert world.changed == []


@pytest.mark.parametrize("point", ["/etc", "/usr/share", "/var", "/lib", "/sbin", "/var/lib"])
def test_mount_point_of_the_system_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, point: str
) -> None:
    world = World(tmp_path, conf=f"{FORMAT}ResourceDisk.MountPoint={point}\n")
    world.prepare()
    assert "belongs to the system" in errors(caplog)[0]
    assert world.changed == []


def test_linux_file_system_under_type_seven_is_mounted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, content=b"\1", kind=EXT4)
    world.prepare()
    assert MOUNTED in caplog.text
    assert world.changed == []
