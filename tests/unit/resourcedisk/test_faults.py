"""What goes wrong with the resource disk: one clear error, no data lost, and the boot goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.runner import Answers, Argv, fails, missing, ok, times_out
from tests.unit.resourcedisk.images import MIB, File, mbr, ntfs
from tests.unit.resourcedisk.world import (
    EXT4,
    FORMAT,
    MOUNTED,
    PLATFORMS_GPT,
    WHOLE,
    World,
    errors,
)
from waagent.resourcedisk.mounting import README


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


@pytest.mark.parametrize(
    "content",
    [ntfs([File("thesis.doc")]), ntfs()[:512] + bytes(MIB)],
    ids=["files", "files cannot be told"],
)
def test_ntfs_that_was_filled_after_a_format_failed_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    world = World(tmp_path, content=content)
    world.guest.write("/var/lib/waagent/resource_disk.json", '{"table": "00c0ffee"}')
    world.prepare()
    assert world.changed == []
    assert "cannot use /dev/sdb as resource disk: /dev/sdb1 holds" in errors(caplog)[0]


@pytest.mark.parametrize("said", ['/dev/sdb: UUID="1F" TYPE="ext4"\n', ""], ids=["kind", "none"])
@pytest.mark.parametrize("head", [mbr(WHOLE), b""], ids=["partition", "blank"])
def test_blkid_of_busybox_is_not_believed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, head: bytes, said: str
) -> None:
    commands: dict[Argv, Answers] = {("blkid",): ok(said), ("mount",): fails(32, "wrong fs type")}
    world = World(tmp_path, head=head, content=b"", commands=commands)
    world.prepare()
    assert world.changed == []
    assert "install blkid of util-linux" in errors(caplog)[0]


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
