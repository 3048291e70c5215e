"""The provisioning media."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import pytest

from tests.support.machine import Guest, Machine
from tests.support.runner import Answers, Argv, fails, missing, ok, times_out
from waagent.core.clock import Stop
from waagent.core.errors import GuestError
from waagent.guest import media

DVD = "/mnt/cdrom/secure"
MOUNT = ("mount", "-o", "ro", "-t", "udf,iso9660,vfat", "/dev/sr0", DVD)
SR0 = {"/dev/sr0": ""}


def device(guest: Guest) -> Path:
    found = media.find_device(guest.system)
    assert found is not None
    return found


def mount(guest: Guest, stop: Optional[Stop] = None) -> str:
    there = media.mount(guest.system, device(guest), guest.path(DVD), stop=stop)
    return guest.system.within(there)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["sda", "sr0", "tty"], "/dev/sr0"),
        (["hdc"], "/dev/hdc"),
        (["cdrom0"], "/dev/cdrom0"),
        (["cd0"], "/dev/cd0"),
        (["vda", "vdb"], "/dev/vdb"),
        (["vdb", "sr1"], "/dev/sr1"),
        (["vdb", "vdb1"], "/dev/vdb"),
        (["hda", "sda1", "vda", "cdrom", "srx", "xsr0"], None),
        ([], None),
    ],
)
def test_device_is_known_by_its_name(
    tmp_path: Path, names: list[str], expected: Optional[str]
) -> None:
    guest = Machine(files={f"/dev/{name}": "" for name in names}).boot(tmp_path)
    found = media.find_device(guest.system)
    assert (None if found is None else guest.system.within(found)) == expected


def test_media_is_mounted_for_reading(tmp_path: Path) -> None:
    guest = Machine(files=SR0, commands={MOUNT: ok()}).boot(tmp_path)
    assert mount(guest) == DVD
    assert guest.path(DVD).is_dir()
    assert guest.clock.waits == []


def test_media_that_is_mounted_already_stays_where_it_is(tmp_path: Path) -> None:
    table = "/dev/sr01 /x udf ro 0 0\n/dev/sr0 /media/my\\040disk udf ro 0 0\n"
    guest = Machine(files={**SR0, "/proc/mounts": table}).boot(tmp_path)
    assert mount(guest) == "/media/my disk"
    assert guest.ran == []


def test_media_is_tried_again_every_five_seconds(tmp_path: Path) -> None:
    commands: dict[Argv, Answers] = {MOUNT: [fails(32, "no medium found"), ok()]}
    guest = Machine(files=SR0, commands=commands).boot(tmp_path)
    assert mount(guest) == DVD
    assert guest.clock.waits == [5.0]


def test_media_that_cannot_be_mounted_is_an_error_that_says_why(tmp_path: Path) -> None:
    commands: dict[Argv, Answers] = {MOUNT: [fails(32, "unknown filesystem type")] * 5}
    guest = Machine(files=SR0, commands=commands).boot(tmp_path)
    with pytest.raises(GuestError, match=r"cannot mount .*/dev/sr0.*unknown filesystem.*iso9660"):
        mount(guest)
    assert len(guest.ran) == 5
    assert guest.clock.waits == [5.0] * 4


def test_media_whose_module_is_switched_off_says_where(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = {
        **SR0,
        "/proc/filesystems": "nodev\tproc\n\tiso9660\n",
        "/etc/modprobe.d/cis.conf": "install udf /bin/true\n",
    }
    guest = Machine(files=files, commands={MOUNT: fails(32, "unknown filesystem")}).boot(tmp_path)
    why = 'udf is switched off by "install udf /bin/true" in /etc/modprobe.d/cis.conf'
    with pytest.raises(GuestError, match=why):
        mount(guest)
    assert f"Cannot mount some media: {why}: take that line out" in caplog.messages


def test_mount_that_is_missing_or_hangs_is_tried_again_and_told(tmp_path: Path) -> None:
    commands: dict[Argv, Answers] = {
        MOUNT: [missing(), times_out(), missing(), times_out(), missing()]
    }
    guest = Machine(files=SR0, commands=commands).boot(tmp_path)
    with pytest.raises(GuestError, match=r"cannot mount .*No such file or directory"):
        mount(guest)
    assert guest.clock.waits == [5.0] * 4


def test_media_is_given_up_when_asked_to_stop(tmp_path: Path) -> None:
    stop = Stop()
    guest = Machine(files=SR0, commands={MOUNT: fails(32)}).boot(tmp_path)
    guest.clock.at(7.0, stop.set)
    with pytest.raises(GuestError):
        mount(guest, stop)
    stop.close()
    assert len(guest.ran) == 2


def test_file_on_the_media_is_read_if_it_is_there(tmp_path: Path) -> None:
    guest = Machine(files={f"{DVD}/ovf-env.xml": b"\xef\xbb\xbf<a/>"}).boot(tmp_path)
    assert media.read_file(guest.path(DVD), "ovf-env.xml") == b"\xef\xbb\xbf<a/>"
    assert media.read_file(guest.path(DVD), "useMetadataEndpoint.tag") is None


def test_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    guest = Machine(folders=[f"{DVD}/ovf-env.xml"]).boot(tmp_path)
    with pytest.raises(GuestError, match=r"cannot read ovf-env\.xml from the provisioning media"):
        media.read_file(guest.path(DVD), "ovf-env.xml")


def test_media_is_unmounted_and_ejected(tmp_path: Path) -> None:
    guest = Machine(files=SR0, commands={("umount",): ok(), ("eject",): ok()}).boot(tmp_path)
    media.unmount(guest.system, guest.path(DVD))
    assert media.eject(guest.system, device(guest))
    assert guest.ran == [("umount", DVD), ("eject", "/dev/sr0")]


def test_virtio_disk_is_not_ejected(tmp_path: Path) -> None:
    guest = Machine(files={"/dev/vdb": ""}).boot(tmp_path)
    assert not media.eject(guest.system, device(guest))
    assert guest.ran == []


def test_media_that_stays_is_an_error_for_the_caller_to_judge(tmp_path: Path) -> None:
    commands: dict[Argv, Answers] = {("umount",): fails(32, "target is busy"), ("eject",): fails(1)}
    guest = Machine(files=SR0, commands=commands).boot(tmp_path)
    with pytest.raises(GuestError, match=r"cannot unmount .*target is busy"):
        media.unmount(guest.system, guest.path(DVD))
    with pytest.raises(GuestError, match="cannot eject"):
        media.eject(guest.system, device(guest))


def test_drive_is_ejected_by_the_kernel_where_there_is_no_program(tmp_path: Path) -> None:
    guest = Machine(files=SR0).boot(tmp_path)
    with pytest.raises(GuestError, match=r"cannot eject .*/dev/sr0 by ioctl: Inappropriate ioctl"):
        media.eject(guest.system, device(guest))
    assert guest.ran == []
