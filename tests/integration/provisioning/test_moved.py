"""An image that was captured without deprovision starts on another machine (DAEMON 8.4)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fabric import Fabric
from tests.support.new_machine import LIB, READY, VM_ID, World

OTHER = "11111111-2222-3333-4444-555555555555"
UNIT = "/lib/systemd/system"
GOES = (
    *("HostingEnvironmentConfig.xml", "Incarnation", "partition", "SharedConfig.xml"),
    *("published_hostname", "fast_track.json", "initial_goal_state", "waagent_rsm_update"),
    *("waagent_initial_update", "Extensions.1.xml", "ExtensionsConfig.7.xml", "GoalState.7.xml"),
    *("A.Handler-1.0.0/status/0.status", "A.Handler-1.0.0/status/ext.3.status"),
    *("A.Handler-1.0.0/config/0.settings", "A.Handler-1.0.0/config/HandlerStatus"),
    *("A.Handler-1.0.0/mrseq", "waagent-network-setup.py"),
)
STAYS = (
    *("ovf-env.xml", "ABCDEF.prv", "CustomData", "A.Handler-1.0.0/config/HandlerState"),
    *("A.Handler-1.0.0/bin/run.sh", "WALinuxAgent-9.9.9.9/status/0.status"),
    *("WALinuxAgent-9.9.9.9/bin/agent.egg", "A.Handler-1.0.0/HandlerManifest.json"),
)
LEASES = ("/var/lib/dhcp/dhclient.eth0.leases", "/var/lib/NetworkManager/internal-1-eth0.lease")
UNITS = (
    f"{UNIT}/walinuxagent-network-setup.service",
    f"{UNIT}/walinuxagent.service.d/12-CPUQuota.conf",
    f"{UNIT}/azure-walinuxagent-logcollector.slice",
)
KEYS = ("/etc/ssh/ssh_host_ed25519_key", "/etc/sudoers.d/waagent", "/etc/hostname")


def captured(folder: Path, fabric: Fabric, provisioned: str = OTHER) -> World:
    """The machine as the image has it."""
    state = {f"{LIB}/{name}": "old" for name in (*GOES, *STAYS)}
    state |= dict.fromkeys((*LEASES, *UNITS, *KEYS), "old")
    state[f"{LIB}/provisioned"] = provisioned
    state[f"{LIB}/ready_reported"] = provisioned
    return World(folder, fabric, files=state)


def there(world: World, names: tuple[str, ...], below: str = "") -> list[str]:
    """Those that are there as they were; the start writes some anew."""
    paths = {name: world.guest.path(f"{below}{name}") for name in names}
    return [name for name, path in paths.items() if path.is_file() and path.read_text() == "old"]


def test_captured_image_forgets_what_the_fabric_told_the_old_machine(
    tmp_path: Path, fabric: Fabric
) -> None:
    world = captured(tmp_path, fabric)
    world.provision()
    assert there(world, GOES, f"{LIB}/") == []
    assert there(world, (*LEASES, *UNITS)) == []
    assert there(world, STAYS, f"{LIB}/") == list(STAYS)
    assert there(world, KEYS) == list(KEYS)
    assert world.guest.file(f"{LIB}/provisioned") == VM_ID
    assert world.health == [READY]


@pytest.mark.parametrize("provisioned", [VM_ID, ""], ids=["same machine", "empty marker"])
def test_machine_that_did_not_move_forgets_nothing(
    tmp_path: Path, fabric: Fabric, provisioned: str
) -> None:
    world = captured(tmp_path, fabric, provisioned)
    world.provision()
    fetched_anew = {"SharedConfig.xml"}
    assert set(GOES) - set(there(world, GOES, f"{LIB}/")) <= fetched_anew
    assert there(world, (*LEASES, *UNITS)) == [*LEASES, *UNITS]


def test_links_in_a_captured_state_are_not_followed(tmp_path: Path, fabric: Fabric) -> None:
    world = captured(tmp_path, fabric)
    world.guest.write("/srv/precious/0.status", "mine")
    world.guest.write("/srv/precious/mrseq", "mine")
    root = world.guest.system.root
    lib = root / LIB.lstrip("/")
    (lib / "B.Handler-1.0.0").mkdir()
    (lib / "B.Handler-1.0.0/status").symlink_to(root / "srv/precious")
    (lib / "C.Handler-1.0.0").symlink_to(root / "srv/precious")
    (root / "var/lib/dhclient").symlink_to("/home")
    world.guest.write("/home/someone/file", "mine")
    world.provision()
    assert world.guest.names("/srv/precious") == ["0.status", "mrseq"]
    assert world.guest.names("/home/someone") == ["file"]
    assert world.health == [READY]


def test_clean_up_that_cannot_remove_something_does_not_stop_the_boot(
    tmp_path: Path, fabric: Fabric
) -> None:
    world = captured(tmp_path, fabric)
    folder = world.guest.path(f"{LIB}/partition")
    folder.unlink()
    folder.mkdir()
    world.guest.path("/var/lib/dhcp").rename(world.guest.path("/var/lib/dhcp.old"))
    world.guest.path("/var/lib/dhcp").write_text("a file where a folder should be")
    world.provision()
    assert world.health == [READY]
    assert not world.guest.path(LEASES[1]).exists()
    assert world.guest.path(f"{LIB}/partition").is_dir()
