"""The time-out of every SCSI disk, as sysfs shows them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from tests.support.machine import Guest, Machine
from tests.unit.environment.machine import run_for, thread_of
from waagent.core.errors import GuestError
from waagent.environment.disks import set_disk_timeouts

DEVICES = "/sys/devices/vmbus"


def disks(tmp_path: Path, **timeouts: str) -> Guest:
    """A machine with those disks below a bus, and links to them, as sysfs has it."""
    return Machine(
        files={f"{DEVICES}/{name}/device/timeout": text for name, text in timeouts.items()},
        symlinks={f"/sys/block/{name}": f"../devices/vmbus/{name}" for name in timeouts},
    ).boot(tmp_path)


def timeout_of(guest: Guest, name: str) -> str:
    """As it stands there."""
    return guest.file(f"/sys/block/{name}/device/timeout")


def test_every_scsi_disk_gets_the_timeout_and_no_other_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guest = disks(tmp_path, sda="30\n", sdb="300\n", sdaa="180\n", nvme0n1="30\n", sr0="30\n")
    with caplog.at_level(logging.INFO):
        set_disk_timeouts(guest.system, "300")
    found = {name: timeout_of(guest, name) for name in ("sda", "sdb", "sdaa", "nvme0n1", "sr0")}
    kept = {"sdb": "300\n", "nvme0n1": "30\n", "sr0": "30\n"}
    assert found == {"sda": "300", "sdaa": "300", **kept}
    assert caplog.messages == [
        f"Set block dev timeout: {name} with timeout: 300" for name in ("sda", "sdaa")
    ]


def test_timeout_that_is_right_is_not_written_again(tmp_path: Path) -> None:
    guest = disks(tmp_path, sda="30\n")
    for text in ("300", "0300"):
        set_disk_timeouts(guest.system, text)
    path = guest.path("/sys/block/sda/device/timeout")
    before = path.stat().st_mtime_ns
    os.utime(path, ns=(before, before - 10**9))
    set_disk_timeouts(guest.system, "300")
    assert path.stat().st_mtime_ns == before - 10**9
    assert timeout_of(guest, "sda") == "300"


def test_disk_without_a_timeout_is_skipped_alone(tmp_path: Path) -> None:
    guest = disks(tmp_path, sda="30\n", sdb="30\n")
    guest.path("/sys/block/sda/device/timeout").unlink()
    set_disk_timeouts(guest.system, "300")
    assert timeout_of(guest, "sdb") == "300"


def test_disk_that_cannot_be_told_is_named_when_the_others_are_done(tmp_path: Path) -> None:
    guest = disks(tmp_path, sda="30\n", sdb="30\n")
    path = guest.path("/sys/block/sda/device/timeout")
    path.unlink()
    path.mkdir()
    with pytest.raises(GuestError, match="sda"):
        set_disk_timeouts(guest.system, "300")
    assert timeout_of(guest, "sdb") == "300"


def test_machine_without_block_devices_has_nothing_to_set(tmp_path: Path) -> None:
    guest = Machine().boot(tmp_path)
    set_disk_timeouts(guest.system, "300")
    assert not guest.path("/sys/block").exists()


def test_disk_that_is_attached_later_gets_its_timeout_in_the_next_period(tmp_path: Path) -> None:
    guest = disks(tmp_path, sda="30\n")
    conf = "OS.RootDeviceScsiTimeout=300\nOS.RootDeviceScsiTimeoutPeriod=60\n"
    worker = thread_of(guest, conf)
    guest.clock.at(10, lambda: guest.write("/sys/block/sdz/device/timeout", "30\n"))
    run_for(guest, worker, 61)
    assert timeout_of(guest, "sda") == "300"
    assert timeout_of(guest, "sdz") == "300"


def test_disks_are_left_alone_where_no_timeout_is_configured(tmp_path: Path) -> None:
    guest = disks(tmp_path, sda="30\n")
    run_for(guest, thread_of(guest, "OS.RootDeviceScsiTimeout=None\n"), 61)
    assert timeout_of(guest, "sda") == "30\n"
