"""The built-in provisioning, from media to Ready (spec DAEMON 5.2)."""

from __future__ import annotations

import base64
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fabric import Fabric
from tests.fabric.media import MediaKey, render_ovf_env
from tests.support.new_machine import (
    KEY,
    KEYS_FILE,
    LIB,
    PASSWORD,
    READY,
    SSHD_CONFIG,
    STARTING,
    USER,
    VM_ID,
    WANTED,
    World,
)
from tests.support.runner import Answers, Argv, fails, ok
from waagent.core.errors import AgentError
from waagent.protocol.errors import EndpointNotFound

Commands = dict[Argv, Answers]


def test_machine_is_set_up_as_the_media_asks(tmp_path: Path, fabric: Fabric) -> None:
    world = World(tmp_path, fabric)
    world.provision()
    guest = world.guest
    assert world.health == [STARTING, READY]
    assert guest.file(f"{LIB}/provisioned") == VM_ID
    assert guest.file(f"{LIB}/published_hostname") == "fabric-vm"
    assert guest.file(KEYS_FILE) == f"{KEY}\n"
    assert guest.mode(KEYS_FILE) == 0o600
    assert guest.file("/etc/sudoers.d/waagent") == f"{USER} ALL=(ALL) ALL\n"
    assert guest.file("/etc/shadow").startswith("root:*LOCK*:14600::::::\n")
    assert "PasswordAuthentication yes" in guest.file("/etc/ssh/sshd_config")
    assert guest.file("/etc/ssh/sshd_config") != SSHD_CONFIG
    assert not world.has("disable_agent")
    assert world.events("Provision")[0][0] is True
    assert world.events("Provision")[0][1] == "Provisioning succeeded (12.34s)"
    assert world.events("ProvisionGuestAgent") == [(True, "true")]


def test_commands_run_in_the_order_of_the_steps(tmp_path: Path, fabric: Fabric) -> None:
    world = World(tmp_path, fabric)
    world.provision()
    names = [argv[0] for argv in world.ran]
    assert names == [
        *("systemctl", "mount", "umount", "useradd", "chpasswd", "visudo", "sshd"),
        *("sshd", "eject", "systemctl", "systemctl"),
    ]
    assert ("useradd", "-m", USER) in world.ran
    assert world.ran[-1][-1] == "ssh"


def test_password_is_on_no_command_line_and_in_no_file(tmp_path: Path, fabric: Fabric) -> None:
    world = World(tmp_path, fabric)
    world.provision()
    call = next(call for call in world.guest.runner.calls if call.argv[0] == "chpasswd")
    assert (call.stdin or b"").startswith(f"{USER}:$6$".encode())
    assert not [argv for argv in world.ran if PASSWORD in " ".join(argv)]
    texts = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(texts) > 20
    assert not [text for text in texts if PASSWORD.encode() in text or b"P4ss" in text]


def test_media_without_a_password_makes_a_user_that_needs_none(
    tmp_path: Path, fabric: Fabric
) -> None:
    media = replace(WANTED, password=None, disable_password_authentication=True)
    world = World(tmp_path, fabric, media)
    world.provision()
    assert world.health[-1] == READY
    assert world.guest.file("/etc/sudoers.d/waagent") == f"{USER} ALL=(ALL) NOPASSWD: ALL\n"
    assert "PasswordAuthentication no" in world.guest.file("/etc/ssh/sshd_config")
    assert not [argv for argv in world.ran if argv[0] == "chpasswd"]


def test_start_after_success_does_nothing(tmp_path: Path, fabric: Fabric) -> None:
    world = World(tmp_path, fabric)
    world.provision()
    before = len(world.ran)
    assert world.provision() is None
    assert {argv[:2] for argv in world.ran[before:]} == {("systemctl", "is-enabled")}
    assert world.health == [STARTING, READY]
    assert world.connected == 1


@pytest.mark.parametrize(
    ("text", "is_disabled"),
    [("true", False), ("false", True), ("FALSE", True), (" False ", True), ("no", False)],
)
def test_media_decides_whether_the_agent_stays_awake(
    tmp_path: Path, fabric: Fabric, text: str, is_disabled: bool
) -> None:
    world = World(tmp_path, fabric, replace(WANTED, provision_guest_agent=text))
    world.provision()
    assert world.has("disable_agent") is is_disabled
    assert world.events("ProvisionGuestAgent") == [(True, text)]
    assert world.health == [STARTING, READY]


def test_newer_media_is_used_all_the_same(tmp_path: Path, fabric: Fabric) -> None:
    world = World(tmp_path, fabric, replace(WANTED, version="1.9"))
    world.provision()
    assert world.health[-1] == READY


def test_media_with_a_byte_order_mark_and_a_tag_is_copied(tmp_path: Path, fabric: Fabric) -> None:
    world = World(tmp_path, fabric, replace(WANTED, bom=True, tag=True))
    world.provision()
    assert world.health[-1] == READY
    assert world.guest.mode(f"{LIB}/useMetadataEndpoint.tag") == 0o600
    assert world.guest.mode(f"{LIB}/ovf-env.xml") == 0o600


def test_several_keys_go_to_their_files_once(tmp_path: Path, fabric: Fabric) -> None:
    other = f"/home/{USER}/.ssh/other"
    ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY="
    keys = (
        *WANTED.keys,
        *WANTED.keys,
        MediaKey(path=KEYS_FILE, value=ecdsa),
        MediaKey(path=other, value=KEY),
    )
    world = World(tmp_path, fabric, replace(WANTED, keys=keys))
    world.provision()
    assert world.guest.file(KEYS_FILE) == f"{KEY}\n{ecdsa}\n"
    assert world.guest.file(other) == f"{KEY}\n"


def test_user_that_exists_already_is_kept(tmp_path: Path, fabric: Fabric) -> None:
    world = World(tmp_path, fabric)
    world.add_user(USER)
    world.provision()
    assert world.health[-1] == READY
    assert not [argv for argv in world.ran if argv[0] == "useradd"]


def test_system_user_gets_no_password_unless_that_is_allowed(
    tmp_path: Path, fabric: Fabric
) -> None:
    media = replace(WANTED, user="daemonlike", keys=())
    world = World(tmp_path / "a", fabric, media)
    world.provision()
    assert world.health[-1][1] == "ProvisioningFailed"
    assert "it is a system user" in str(world.health[-1][2])
    allowing = World(tmp_path / "b", fabric, media, conf="Provisioning.AllowResetSysUser=y")
    allowing.provision()
    assert allowing.health[-1] == READY


def test_user_whom_the_distribution_ships_gets_a_password(tmp_path: Path, fabric: Fabric) -> None:
    """Flatcar's "core" has a uid below those of users, and people log in as it."""
    media = replace(WANTED, user="core", keys=())
    passwd = "root:x:0:0::/root:/bin/sh\ncore:x:50:50::/home/core:/bin/bash\n"
    world = World(tmp_path, fabric, media, distro="flatcar-4081", files={"/etc/passwd": passwd})
    assert world.guest.profile.ordinary_system_users == ("core",)
    world.provision()
    assert world.health[-1] == READY


def test_root_password_stays_where_nobody_asked_to_lock_it(tmp_path: Path, fabric: Fabric) -> None:
    world = World(tmp_path, fabric, conf="Provisioning.DeleteRootPassword=n")
    world.provision()
    assert world.guest.file("/etc/shadow").startswith("root:x:")


def test_fabric_that_cannot_be_found_is_for_the_daemon_to_judge(
    tmp_path: Path, fabric: Fabric
) -> None:
    world = World(tmp_path, fabric)
    world.cannot_connect = EndpointNotFound("No protocol found.")
    with pytest.raises(AgentError, match="No protocol found"):
        world.provision()
    assert not world.has("provisioned")
    assert not [argv for argv in world.ran if argv[0] in ("useradd", "eject")]


def test_machine_is_set_up_while_the_first_report_hangs(tmp_path: Path, fabric: Fabric) -> None:
    fabric.fault("wire.health", "HANG")
    repairs: Commands = {("eject",): ok(do=lambda *_: fabric.clear_faults())}
    world = World(tmp_path, fabric, commands=repairs)
    world.provision()
    assert world.health == [STARTING, READY]
    assert world.guest.clock.waits == []


def test_ready_is_not_told_before_the_first_report_was_taken(
    tmp_path: Path, fabric: Fabric
) -> None:
    fabric.fault("wire.health", "HANG", count=1)
    later = threading.Timer(0.3, fabric.clear_faults)
    last_step: Argv = ("systemctl", "--job-mode=ignore-dependencies")
    world = World(tmp_path, fabric, commands={last_step: ok(do=lambda *_: later.start())})
    world.provision()
    later.join()
    assert world.health == [STARTING, READY]


def test_report_that_is_not_taken_is_sent_again(tmp_path: Path, fabric: Fabric) -> None:
    fabric.fault("wire.health", "UNAVAILABLE", count=3)
    world = World(tmp_path, fabric)
    world.provision()
    assert world.health == [STARTING, READY]
    assert len(world.guest.clock.waits) == 3


def test_ready_that_was_not_taken_is_told_at_the_next_start(tmp_path: Path, fabric: Fabric) -> None:
    world = World(tmp_path, fabric)
    fabric.fault("wire.health", "BAD_REQUEST")
    world.provision()
    assert world.has("provisioned")
    assert not world.has("ready_reported")
    assert "Reporting Ready failed" in world.events("Provision")[-1][1]
    fabric.clear_faults()
    world.provision()
    assert world.health == [READY]
    assert world.has("ready_reported")


def test_custom_data_is_saved_as_it_came_unless_it_is_to_be_decoded(
    tmp_path: Path, fabric: Fabric
) -> None:
    data = b"\x1f\x8b\0binary\xff"
    media = replace(WANTED, custom_data=data)
    World(tmp_path / "raw", fabric, media).provision()
    decoding = World(tmp_path / "decoded", fabric, media, conf="Provisioning.DecodeCustomData=y")
    decoding.provision()
    raw = (tmp_path / f"raw{LIB}/CustomData").read_bytes()
    assert raw == base64.b64encode(data)
    assert (tmp_path / f"decoded{LIB}/CustomData").read_bytes() == data


def test_command_that_nobody_needs_may_fail(tmp_path: Path, fabric: Fabric) -> None:
    harmless: Commands = {
        ("eject",): fails(1),
        ("hostnamectl",): fails(1),
        ("umount",): fails(32, "busy"),
    }
    world = World(tmp_path, fabric, commands={**harmless, ("systemctl",): fails(5)})
    world.provision()
    assert world.health == [STARTING, READY]
    assert world.guest.file("/etc/hostname") == "fabric-vm\n"


def test_saved_document_is_what_is_read_when_the_account_exists(
    tmp_path: Path, fabric: Fabric
) -> None:
    world = World(tmp_path, fabric, conf="Provisioning.DecodeCustomData=y")
    broken = render_ovf_env(WANTED).replace(b"</Linux", b"<CustomData>!</CustomData></Linux")
    world.media = broken
    world.provision()
    assert "cannot decode the custom data" in str(world.health[-1][2])
    assert world.has("account_ready")
    assert ("eject", "/dev/sr0") in world.ran
    saved = world.guest.file(f"{LIB}/ovf-env.xml").replace("<CustomData>!", "<CustomData>aGk=")
    world.guest.write(f"{LIB}/ovf-env.xml", saved)
    before = len(world.ran)
    world.provision()
    assert world.health[-1] == READY
    again = {argv[0] for argv in world.ran[before:]}
    assert again.isdisjoint({"mount", "useradd", "chpasswd", "eject"})
    assert world.guest.file(f"{LIB}/CustomData") == "hi"
