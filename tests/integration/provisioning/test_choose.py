"""Whose turn it is, and what a machine needs that was set up before (DAEMON 5.1, 5.3, 12.2)."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import pytest

from tests.fabric import Fabric
from tests.fabric.media import OvfMedia, render_ovf_env
from tests.support.new_machine import (
    HOST_KEY,
    LIB,
    READY,
    STARTING,
    VM_ID,
    World,
    failed,
)
from tests.support.runner import Answers, Argv, fails, ok

OTHER = "11111111-2222-3333-4444-555555555555"
IS_ENABLED: Argv = ("systemctl", "is-enabled")
CLOUD_INIT, WAAGENT, DISABLED, REFUSED = "cloud-init", "waagent", "disabled", "refused"
OLD_KEYS = "Provisioning.Enabled=n\n"
OLD_KEYS_CLOUD = "Provisioning.Enabled=n\nProvisioning.UseCloudInit=y\n"


def make(folder: Path, fabric: Fabric, conf: str, *, cloud_init: bool, provisioned: str) -> World:
    answer: Answers = ok("enabled\n") if cloud_init else fails(1, stdout="disabled\n")
    files = {f"{LIB}/ovf-env.xml": render_ovf_env(OvfMedia())} if cloud_init else {}
    if provisioned:
        files[f"{LIB}/provisioned"] = provisioned.encode()
        files[f"{LIB}/ready_reported"] = provisioned.encode()
    return World(folder, fabric, conf=conf, commands={IS_ENABLED: answer}, files=files)


def turn_of(world: World) -> str:
    """Who did it, by what is left behind."""
    if any(argv[0] == "useradd" for argv in world.ran):
        return WAAGENT
    if world.health[-1:] == [
        failed(
            "[ProvisionError] cloud-init appears to be installed and enabled, this is not expected,"
            " cannot continue"
        )
    ]:
        return REFUSED
    return CLOUD_INIT if STARTING in world.health else DISABLED


@pytest.mark.parametrize(
    ("agent", "cloud_init", "expected"),
    [
        ("auto", True, CLOUD_INIT),
        ("auto", False, WAAGENT),
        (None, True, CLOUD_INIT),
        (None, False, WAAGENT),
        ("waagent", False, WAAGENT),
        ("waagent", True, REFUSED),
        ("cloud-init", True, CLOUD_INIT),
        ("disabled", False, DISABLED),
        ("disabled", True, DISABLED),
        ("Waagent", False, DISABLED),
        ("nonsense", True, DISABLED),
    ],
)
def test_new_machine_is_set_up_by_whom_the_configuration_says(
    tmp_path: Path,
    fabric: Fabric,
    agent: Optional[str],
    cloud_init: bool,
    expected: str,
) -> None:
    conf = "" if agent is None else f"Provisioning.Agent={agent}\n"
    world = make(tmp_path, fabric, conf, cloud_init=cloud_init, provisioned="")
    if cloud_init:
        world.guest.write(world.host_key, HOST_KEY)
    world.provision()
    assert turn_of(world) == expected
    assert world.has("provisioned") is (expected != REFUSED)
    assert (world.health[-1] == READY) is (expected != REFUSED)


@pytest.mark.parametrize("switch", ["/etc/cloud/cloud-init.disabled", "/run/cloud-init/disabled"])
@pytest.mark.parametrize("agent", ["auto", "waagent"])
def test_cloud_init_that_is_switched_off_leaves_the_machine_to_us(
    tmp_path: Path, fabric: Fabric, agent: str, switch: str
) -> None:
    """Its units are enabled all the same; nobody would ever set the machine up."""
    conf = f"Provisioning.Agent={agent}\n"
    world = make(tmp_path, fabric, conf, cloud_init=True, provisioned="")
    world.guest.write(switch, "")
    world.provision()
    assert turn_of(world) == WAAGENT
    assert world.health == [STARTING, READY]


@pytest.mark.parametrize(
    ("conf", "cloud_init", "expected"),
    [
        ("Provisioning.Enabled=y\nProvisioning.UseCloudInit=n\n", False, WAAGENT),
        (OLD_KEYS, False, DISABLED),
        (OLD_KEYS, True, CLOUD_INIT),
        (OLD_KEYS_CLOUD, True, CLOUD_INIT),
        ("Provisioning.UseCloudInit=y\n", False, WAAGENT),
        (OLD_KEYS + "Provisioning.Agent=waagent\n", False, WAAGENT),
        (OLD_KEYS_CLOUD + "Provisioning.Agent=disabled\n", True, DISABLED),
    ],
)
def test_keys_of_old_agents_count_where_the_new_one_says_auto(
    tmp_path: Path, fabric: Fabric, conf: str, cloud_init: bool, expected: str
) -> None:
    world = make(tmp_path, fabric, conf, cloud_init=cloud_init, provisioned="")
    world.guest.write(world.host_key, HOST_KEY)
    world.provision()
    assert turn_of(world) == expected


@pytest.mark.parametrize(
    "conf", ["", "Provisioning.Agent=waagent", "Provisioning.Agent=cloud-init"]
)
@pytest.mark.parametrize("cloud_init", [False, True])
def test_machine_that_was_set_up_needs_nothing(
    tmp_path: Path, fabric: Fabric, conf: str, cloud_init: bool
) -> None:
    world = make(tmp_path, fabric, conf, cloud_init=cloud_init, provisioned=VM_ID)
    assert world.provision() is None
    assert world.health == []
    assert world.connected == 0


def test_disabled_provisioning_reports_ready_at_every_start(tmp_path: Path, fabric: Fabric) -> None:
    conf = "Provisioning.Agent=disabled"
    world = make(tmp_path, fabric, conf, cloud_init=False, provisioned="")
    for _ in range(3):
        world.provision()
    assert world.health == [READY] * 3
    assert world.guest.file(f"{LIB}/provisioned") == VM_ID
    assert not [argv for argv in world.ran if argv[0] == "mount"]


@pytest.mark.parametrize(
    ("stored", "is_event"), [(OTHER, True), ("", False)], ids=["captured image", "empty marker"]
)
def test_machine_that_moved_reports_ready_and_is_not_set_up_again(
    tmp_path: Path, fabric: Fabric, stored: str, is_event: bool
) -> None:
    world = make(tmp_path, fabric, "", cloud_init=False, provisioned=OTHER)
    world.guest.write(f"{LIB}/provisioned", stored)
    world.provision()
    assert world.health == [READY]
    assert world.guest.file(f"{LIB}/provisioned") == VM_ID
    assert not [argv for argv in world.ran if argv[0] in ("mount", "useradd")]
    told = [message for _, message in world.events("Provision")]
    begins = "VM is provisioned, but the VM unique identifier has changed."
    assert [text.startswith(begins) for text in told] == [True] * is_event
    assert world.provision() is None


def test_machine_that_moved_tells_ready_until_it_is_taken(tmp_path: Path, fabric: Fabric) -> None:
    """What the fabric took of the machine before, it did not take of this one."""
    world = make(tmp_path, fabric, "", cloud_init=False, provisioned=OTHER)
    fabric.fault("wire.health", "BAD_REQUEST")
    world.provision()
    fabric.clear_faults()
    assert world.provision() is not None
    assert world.health == [READY]


def test_image_captured_half_provisioned_is_set_up_anew(tmp_path: Path, fabric: Fabric) -> None:
    """An account of the machine before is not the account that this media asks for."""
    world = World(tmp_path, fabric)
    for name in ("account_ready", "custom_data_started", "ready_reported"):
        world.guest.write(f"{LIB}/{name}", OTHER)
    world.guest.write(f"{LIB}/ovf-env.xml", render_ovf_env(OvfMedia(user="somebodyelse")))
    world.provision()
    assert ("useradd", "-m", "azureuser") in world.ran
    assert world.health == [STARTING, READY]


def test_cloud_init_that_set_the_machine_up_is_reported(tmp_path: Path, fabric: Fabric) -> None:
    world = make(tmp_path, fabric, "", cloud_init=True, provisioned="")
    world.guest.clock.at(20.0, lambda: world.guest.write(world.host_key, HOST_KEY))
    world.provision()
    assert world.health == [STARTING, READY]
    assert world.events("Provision") == [(True, "Provisioning with cloud-init succeeded (12.34s)")]
    assert {argv[0] for argv in world.ran} == {"systemctl"}


@pytest.mark.parametrize(
    ("lacking", "text", "before"),
    [
        ("ovf-env.xml", "[ProvisionError] Giving up, {lib}/ovf-env.xml was not there: ", []),
        ("host key", "[ProvisionError] Giving up, ssh host key {root}/etc/ssh/ssh_", [STARTING]),
    ],
)
def test_cloud_init_that_fails_is_reported_and_tried_again(
    tmp_path: Path, fabric: Fabric, lacking: str, text: str, before: list[object]
) -> None:
    world = make(tmp_path, fabric, "", cloud_init=True, provisioned="")
    world.guest.write("/run/cloud-init/result.json", '{"v1": {"errors": ["no datasource"]}}')
    if lacking == "ovf-env.xml":
        world.paths.ovf_env.unlink()
    world.provision()
    *rest, last = world.health
    root = str(tmp_path.resolve())
    assert rest == before
    assert str(last[2]).startswith(text.format(root=root, lib=f"{root}{LIB}"))
    assert str(last[2]).endswith("cloud-init has ended with errors: no datasource")
    assert not world.has("provisioned")
    world.guest.write(f"{LIB}/ovf-env.xml", render_ovf_env(OvfMedia()))
    world.guest.write(world.host_key, HOST_KEY)
    world.provision()
    assert world.health[-1] == READY


def test_media_that_wants_no_agent_is_obeyed_under_cloud_init_too(
    tmp_path: Path, fabric: Fabric
) -> None:
    world = make(tmp_path, fabric, "", cloud_init=True, provisioned="")
    document = render_ovf_env(OvfMedia(provision_guest_agent="false"))
    world.guest.write(f"{LIB}/ovf-env.xml", document)
    world.guest.write(world.host_key, HOST_KEY)
    world.provision()
    assert world.has("disable_agent")
    assert world.health == [STARTING, READY]
