"""Which disk is the resource disk (spec DAEMON 2.1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.machine import Guest, Machine
from tests.unit.resourcedisk.world import GEN1, GEN2, World
from waagent.core.clock import Stop
from waagent.resourcedisk.errors import ResourceDiskError
from waagent.resourcedisk.find import find_disk

BUS = "/sys/bus/vmbus/devices"
IDE0_PORT1 = "00000000-0001-8899-0000-000000000000"


def guest_with(tmp_path: Path, *paths: str, identity: str = IDE0_PORT1) -> Guest:
    """A machine whose VMBus has one device, with files below it."""
    files = {f"{BUS}/one/{path}": "" for path in paths}
    return Machine(files={f"{BUS}/one/device_id": f"{{{identity}}}\n", **files}).boot(tmp_path)


@pytest.mark.parametrize("disk", [GEN1, GEN2])
def test_disk_is_found_behind_the_link_that_sysfs_has(tmp_path: Path, disk: object) -> None:
    world = World(tmp_path, disk=GEN1 if disk is GEN1 else GEN2)
    assert find_disk(world.system) == "sdb"


def test_machine_without_hyper_v_has_no_resource_disk(tmp_path: Path) -> None:
    guest = Machine().boot(tmp_path)
    assert find_disk(guest.system) is None
    assert guest.clock.waits == []


@pytest.mark.parametrize(
    ("identity", "path", "name"),
    [
        (IDE0_PORT1, "host3/target3:0:1/3:0:1:0/block/sdb/size", "sdb"),
        (IDE0_PORT1, "host3/target3:0:1/3:0:1:0/block:sdb/size", "sdb"),
        ("F8B3781A-1E82-4818-A1C3-63D806EC15BB", "host0/0:0:0:1/block/sdc/size", "sdc"),
        ("f8b3781a-1e82-4818-a1c3-63d806ec15bb", "host0/0:0:0:0/block/sda/size", None),
        ("f8b3781a-1e82-4818-a1c3-63d806ec15bb", "host0/0:0:0:2/block/sr0/size", None),
        ("f8b3781a-1e82-4818-a1c3-63d806ec15bb", "host0/0:0:0:11/block/sdz/size", None),
        ("f8b3781b-1e82-4818-a1c3-63d806ec15bb", "host0/0:0:0:1/block/sdd/size", None),
        ("00000000-0000-8899-0000-000000000000", "host0/0:0:0:0/block/sda/size", None),
        ("00000001-0001-8899-0000-000000000000", "host0/0:0:0:0/block/sda/size", None),
    ],
)
def test_disk_is_told_by_its_controller_and_lun(
    tmp_path: Path, identity: str, path: str, name: str
) -> None:
    assert find_disk(guest_with(tmp_path, path, identity=identity).system) == name


def test_device_without_an_identity_hides_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guest = guest_with(tmp_path, "host3/3:0:1:0/block/sdb/size")
    guest.path(f"{BUS}/a-first-one").mkdir()
    assert find_disk(guest.system) == "sdb"
    assert "Error getting device for 00000000-0001 or f8b3781a" in caplog.text


def test_disk_whose_driver_is_still_busy_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guest = guest_with(tmp_path)
    guest.clock.at(7.0, lambda: guest.write(f"{BUS}/one/3:0:1:0/block/sdb/size", ""))
    assert find_disk(guest.system) == "sdb"
    assert "Waiting for the disk of the VMBus device, 4 attempts remaining" in caplog.messages


def test_disk_that_never_comes_is_waited_for_25_seconds(tmp_path: Path) -> None:
    guest = guest_with(tmp_path)
    before = guest.clock.monotonic()
    assert find_disk(guest.system) is None
    assert guest.clock.monotonic() - before == pytest.approx(25.0)


def test_agent_that_is_told_to_stop_waits_no_longer(tmp_path: Path) -> None:
    guest = guest_with(tmp_path)
    stop = Stop()
    guest.clock.at(3.0, stop.set)
    with pytest.raises(ResourceDiskError, match="told to stop"):
        find_disk(guest.system, stop)
