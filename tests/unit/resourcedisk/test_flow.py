"""The resource disk at a start of the daemon (spec DAEMON 2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.init.vmbus import SCSI, Disk
from tests.support.runner import Answers, Argv, fails, missing, ok, times_out
from tests.support.spool import spooled
from tests.unit.resourcedisk.images import (
    BASIC_DATA,
    LINUX,
    MIB,
    RESERVED,
    File,
    Part,
    gpt,
    mbr,
    ntfs,
)
from tests.unit.resourcedisk.world import FORMAT, GEN2, POINT, SWAP, WHOLE, World
from waagent.resourcedisk.mounting import README

MOUNTED = "Resource disk /dev/sdb is mounted at /mnt/resource with ext4"
PLATFORMS_GPT = gpt(Part(1, 34 * 512, 8192, RESERVED), Part(2, MIB, WHOLE.size, BASIC_DATA))
EXT4 = "TYPE=ext4\nUUID=of-somebody\n"


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


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


@pytest.mark.parametrize("point", ["/etc", "/usr/share", "/var"])
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


def test_mount_that_fails_never_costs_what_others_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, content=b"\1", kind=EXT4, commands={("mount",): fails(32, "bad")})
    world.prepare()
    assert "not known to be made by this agent" in errors(caplog)[0]
    assert world.changed == []


def made_by_us(tmp_path: Path, mount: Answers, conf: str = FORMAT) -> World:
    """A machine whose file system is in our records."""
    world = World(tmp_path, content=b"\1", kind=EXT4, commands={("mount",): mount}, conf=conf)
    record = '{"table": "00c0ffee", "filesystem": "of-somebody"}'
    world.guest.write("/var/lib/waagent/resource_disk.json", record)
    return world


def test_file_system_of_ours_that_is_damaged_is_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = made_by_us(tmp_path, [fails(32, "bad")] * 3 + [ok()])
    world.prepare()
    assert "Attempting to format and retry mount" in caplog.text
    assert world.changed[-1] == "mkfs.ext4"
    assert MOUNTED in caplog.text


def test_wrong_options_do_not_cost_the_data(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = f"{FORMAT}ResourceDisk.MountOptions=bogus\n"
    world = made_by_us(tmp_path, [fails(32, "bad"), fails(32, "bad"), ok()], options)
    world.runner.answers = {**world.runner.answers, ("umount",): ok()}
    world.prepare()
    assert "are ResourceDisk.MountOptions right?" in errors(caplog)[0]
    assert world.changed == []


def test_missing_kernel_module_does_not_cost_the_data(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = made_by_us(tmp_path, fails(32, "unknown filesystem type"))
    world.guest.write("/proc/filesystems", "\txfs\n")
    world.prepare()
    assert "this kernel has no ext4; is its module installed?" in errors(caplog)[0]
    assert world.changed == []


def test_format_that_was_interrupted_is_taken_up_on_that_disk_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, content=b"\1half made", kind="")
    world.guest.write("/var/lib/waagent/resource_disk.json", '{"table": "0badc0de"}')
    world.prepare()
    assert world.changed == []
    world.guest.write("/var/lib/waagent/resource_disk.json", '{"table": "00c0ffee"}')
    world.prepare()
    assert world.changed == ["sfdisk", "mkfs.ext4"]
    assert MOUNTED in caplog.text


def test_partition_that_comes_late_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path)
    node = world.guest.path("/dev/sdb1")
    node.unlink()
    world.guest.clock.at(7.0, node.touch)
    world.prepare()
    assert "Waiting for partition [/dev/sdb1], 4 attempts remaining" in caplog.messages
    assert MOUNTED in caplog.text


def test_partition_that_never_comes_is_an_error_after_25_seconds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path)
    world.guest.path("/dev/sdb1").unlink()
    before = world.guest.clock.monotonic()
    world.prepare()
    assert "Partition was not created [/dev/sdb1]" in errors(caplog)[0]
    assert world.guest.clock.monotonic() - before == pytest.approx(25.0)


def test_disk_that_vanishes_midway_is_an_error_that_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def vanish(_argv: Argv, _: bytes) -> None:
        world.guest.path("/dev/sdb").unlink()

    world = World(tmp_path, commands={("sfdisk", "--part-type"): ok(do=vanish)})
    world.prepare()
    assert "/dev/sdb, which has gone" in errors(caplog)[0]


def test_disk_that_changes_after_the_decision_is_not_formatted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Between the look and the deed somebody put a file there."""

    def use(_argv: Argv, _: bytes) -> None:
        with world.guest.path("/dev/sdb").open("r+b") as stream:
            stream.seek(WHOLE.start)
            stream.write(ntfs([File("thesis.doc")]))

    world = World(tmp_path, commands={("sfdisk", "--part-type"): ok(do=use)})
    world.prepare()
    assert "no longer as it was found" in errors(caplog)[0]
    assert world.changed == ["sfdisk"]


def test_program_that_is_not_there_is_missed_before_anything_is_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, commands={("mkfs.ext4",): missing()})
    before = world.guest.path("/dev/sdb").read_bytes()
    world.prepare()
    assert "there is no program mkfs.ext4; install it" in errors(caplog)[0]
    assert world.guest.path("/dev/sdb").read_bytes() == before


HOW = {"fails": fails(1, "it is broken"), "hangs": times_out(), "missing": missing()}
DEEDS: dict[str, tuple[Argv, bytes, str]] = {
    "blkid": (("blkid",), mbr(WHOLE), "blkid"),
    "sfdisk": (("sfdisk", "--quiet"), PLATFORMS_GPT, "sfdisk"),
    "type": (("sfdisk", "--part-type"), mbr(WHOLE), ""),
    "reread": (("blockdev",), PLATFORMS_GPT, ""),
    "mkfs": (("mkfs.ext4",), mbr(WHOLE), "mkfs.ext4"),
    "mount": (("mount",), mbr(WHOLE), "cannot mount /dev/sdb1"),
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("deed", DEEDS)
def test_program_that_is_at_fault_is_one_clear_error_and_the_boot_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, deed: str, how: str
) -> None:
    command, head, said = DEEDS[deed]
    commands = {command: HOW[how], ("partx",): ok()}
    if deed == "blkid":
        commands[("mount",)] = fails(32, "wrong fs type")
    world = World(tmp_path, head, commands=commands)
    world.prepare()
    if said:
        (error,) = errors(caplog)
        assert error.startswith("Failed to mount resource disk [ResourceDiskError]")
        assert said in error
        assert "\n" not in error
    else:
        assert MOUNTED in caplog.text


def test_mount_point_that_cannot_be_made_is_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path)
    world.guest.write("/mnt/resource", "a file")
    world.prepare()
    assert "Failed to create mount point directory [/mnt/resource]" in errors(caplog)[0]
    assert world.changed == []


def test_readme_that_cannot_be_written_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path)
    world.guest.path(f"/mnt/resource/{README}").mkdir(parents=True)
    world.prepare()
    assert "Failed to write data loss warning:" in caplog.text
    assert errors(caplog) == []


def test_lib_dir_that_takes_nothing_costs_the_record_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path)
    world.guest.path("/var/lib/waagent/resource_disk.json").mkdir()
    world.prepare()
    assert "Cannot remember what is done to the resource disk" in caplog.text
    assert MOUNTED in caplog.text


@pytest.mark.parametrize("head", [PLATFORMS_GPT, b""], ids=["platform", "blank"])
def test_start_after_a_failed_mkfs_goes_on_with_the_partition_that_was_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, head: bytes
) -> None:
    content = (ntfs(), "TYPE=ntfs\n") if head else (b"", "")
    world = World(tmp_path, head, *content)
    works = world.runner.answers[("mkfs.ext4",)]
    world.runner.answers = {**world.runner.answers, ("mkfs.ext4",): fails(1, "power is gone")}
    world.prepare()
    world.runner.answers = {**world.runner.answers, ("mkfs.ext4",): works}
    world.prepare()
    assert world.changed == ["sfdisk", "mkfs.ext4", "mkfs.ext4"]
    assert len(errors(caplog)) == 1
    assert MOUNTED in caplog.text
