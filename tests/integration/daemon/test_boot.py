"""What the boot helper does, and what its exit code says (spec DAEMON 1.4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fabric import Fabric
from tests.support.machine import routes
from tests.support.new_machine import LIB, READY, STARTING, VM_ID, World, plain_vm
from tests.support.runner import Answers, Argv, fails
from waagent.core.commands import MARKER
from waagent.daemon.boot import boot
from waagent.daemon.outcome import DONE, NO_FABRIC

# A host route to 168.63.129.16: so the fabric is where the address book says.
ROUTES = {"/proc/net/route": routes(("eth0", "10813FA8", "0100000A", "0007", 0, "FFFFFFFF"))}


@pytest.fixture
def fabric() -> Iterator[Fabric]:
    """A fabric that delivers no certificates."""
    with Fabric(plain_vm()) as running:
        yield running


def test_new_machine_is_provisioned_and_the_fabric_remembered(
    tmp_path: Path, fabric: Fabric
) -> None:
    world = World(tmp_path, fabric, files=ROUTES)
    assert boot(world.context, world.guest.profile) == DONE
    assert world.health == [STARTING, READY]
    assert world.guest.file(f"{LIB}/Protocol") == "WireProtocol"
    assert world.guest.file(f"{LIB}/WireServerEndpoint") == "168.63.129.16"


def test_failed_provisioning_counts_as_done(tmp_path: Path, fabric: Fabric) -> None:
    world = World(tmp_path, fabric, files=ROUTES, commands={("useradd",): fails(1)})
    assert boot(world.context, world.guest.profile) == DONE
    assert world.health[-1][1] == "ProvisioningFailed"
    assert world.has("Protocol")


def test_machine_that_was_set_up_only_finds_the_fabric(tmp_path: Path, fabric: Fabric) -> None:
    files = {f"{LIB}/provisioned": VM_ID, f"{LIB}/ready_reported": VM_ID, **ROUTES}
    world = World(tmp_path, fabric, files=files)
    assert boot(world.context, world.guest.profile) == DONE
    assert [entry.endpoint for entry in fabric.journal.entries()] == ["wire.versions"]
    assert world.has("Protocol")


def test_fabric_that_is_not_found_is_no_boot_and_leaves_no_address(
    tmp_path: Path, fabric: Fabric
) -> None:
    """The image may have come from somewhere else: its address is forgotten first."""
    saved = {f"{LIB}/Protocol": "WireProtocol", f"{LIB}/WireServerEndpoint": "10.0.0.9"}
    fabric.fault("wire.versions", "NOT_FOUND")
    world = World(tmp_path, fabric, files={**ROUTES, **saved})
    world.guest.clock.at(25.0, world.context.stop.set)
    assert boot(world.context, world.guest.profile) == NO_FABRIC
    assert len(fabric.journal.entries("wire.versions")) == 3
    assert not world.has("Protocol")
    assert not world.has("WireServerEndpoint")
    assert not world.has("provisioned")


def test_mkfs_that_a_killed_daemon_left_running_is_waited_for_before_the_disk_is_looked_at(
    tmp_path: Path, fabric: Fabric, caplog: pytest.LogCaptureFixture
) -> None:
    left = {
        "/proc/77/environ": f"{'='.join(MARKER)}\0",
        "/proc/77/stat": "77 (mkfs.xfs) S 1 1 1",
        "/proc/77/cmdline": "mkfs.xfs\0-f\0/dev/sdb1\0",
    }
    files = {f"{LIB}/provisioned": VM_ID, f"{LIB}/ready_reported": VM_ID, **ROUTES, **left}
    conf = "ResourceDisk.Format=y\nResourceDisk.Filesystem=xfs"
    world = World(tmp_path, fabric, conf=conf, files=files)
    world.guest.clock.at(20.0, world.guest.path("/proc/77/environ").unlink)
    with caplog.at_level("INFO"):
        assert boot(world.context, world.guest.profile) == DONE
    said = caplog.messages
    waiting = said.index("Waiting for what an earlier start left running: mkfs.xfs (77)")
    assert waiting < said.index("Activate resource disk")
    assert "Not waiting any longer" not in caplog.text


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        ("", "RDMA capabilities are not enabled, skipping"),
        ("OS.EnableRDMA=y", "no rdmaIPv4Address"),
        ("ResourceDisk.Format=n", "ResourceDisk.Format is off"),
        ("ResourceDisk.Format=y", "This VM has no resource disk"),
        ("DetectScvmmEnv=n", "DetectScvmmEnv is off"),
        ("DetectScvmmEnv=y", "Detecting Microsoft System Center VMM Environment"),
    ],
)
def test_step_that_is_off_or_not_built_is_told(
    tmp_path: Path, fabric: Fabric, caplog: pytest.LogCaptureFixture, conf: str, said: str
) -> None:
    commands: dict[Argv, Answers] = {("mount",): fails(32), ("modprobe",): fails(1)}
    files = {f"{LIB}/provisioned": VM_ID, f"{LIB}/ready_reported": VM_ID, **ROUTES}
    world = World(tmp_path, fabric, conf=conf, files=files, commands=commands)
    with caplog.at_level("INFO"):
        assert boot(world.context, world.guest.profile) == DONE
    assert said in caplog.text
