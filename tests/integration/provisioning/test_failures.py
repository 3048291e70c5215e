"""Every step that may fail: told in the fabric's words, nothing lost, and the next start succeeds.

Source: spec DAEMON 5.2 (failure handling), 0.4 (texts).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable, Optional

import pytest

from tests.fabric import Fabric
from tests.fabric.media import MediaKey, MediaKeyPair, OvfMedia
from tests.support.new_machine import (
    DVD,
    HOST_KEY,
    KEY,
    KEYS_FILE,
    LIB,
    READY,
    STARTING,
    USER,
    WANTED,
    World,
)
from tests.support.runner import Answer, Answers, Argv, fails, missing, ok, times_out

PROVISION = "[ProvisionError] Failed to provision: [OSUtilError] "
MEDIA = "[ProtocolError] [CopyOvfEnv] Error mounting dvd: [OSUtilError] "


def nothing(_: World) -> None:
    """The machine is as it should be."""


@dataclass(frozen=True)
class Failure:
    """One way to fail: by a command that fails once, by what is on the machine, by the media."""

    name: str
    text: str
    command: Optional[Argv] = None
    answers: tuple[Answer, ...] = ()
    broken: Callable[[World], None] = nothing
    repaired: Callable[[World], None] = nothing
    media: OvfMedia = WANTED
    conf: str = ""
    is_media_ejected: bool = False
    is_before_start: bool = False
    commands: Mapping[Argv, Answers] = field(default_factory=dict)


def by(name: str, text: str, command: Argv, answer: Answer) -> Failure:
    """A command fails in the first attempt, and works in the second."""
    return Failure(name, text, command=command, answers=(answer,))


def put(name: str, text: str) -> Callable[[World], None]:
    return lambda world: world.guest.write(name, text)


def take_away(name: str) -> Callable[[World], None]:
    return lambda world: world.guest.path(name).unlink()


def occupy(name: str) -> Callable[[World], None]:
    return lambda world: world.guest.path(name).mkdir(parents=True)


def vacate(name: str) -> Callable[[World], None]:
    return lambda world: shutil.rmtree(world.guest.path(name))


def replace_by_file(world: World, name: str) -> None:
    shutil.rmtree(world.guest.path(name))
    world.guest.write(name, "in the way")


def replace_by_folder(world: World, name: str) -> None:
    world.guest.path(name).unlink()
    world.guest.path(name).mkdir()


def ask_properly(world: World) -> None:
    world.media = WANTED


def make_key(world: World) -> None:
    world.guest.write(world.host_key, HOST_KEY)


FAILURES = (
    Failure(
        "no drive",
        f"{MEDIA}Failed to get dvd device from /dev",
        broken=take_away("/dev/sr0"),
        repaired=put("/dev/sr0", ""),
        is_before_start=True,
    ),
    Failure(
        "media cannot be mounted",
        f"{MEDIA}cannot mount the provisioning media /dev/sr0: 'mount -o ro -t",
        command=("mount",),
        answers=(fails(32, "wrong fs type"),) * 5,
        is_before_start=True,
    ),
    Failure(
        "nothing on the media",
        f"[ProtocolError] [CopyOvfEnv] Error reading file {{root}}{DVD}/ovf-env.xml: File",
        command=("mount",),
        answers=(ok(),),
        is_before_start=True,
    ),
    Failure(
        "no room for the copy",
        f"[ProtocolError] [CopyOvfEnv] Error writing file {{root}}{LIB}/ovf-env.xml: IsADir",
        broken=occupy(f"{LIB}/ovf-env.xml/x"),
        repaired=vacate(f"{LIB}/ovf-env.xml"),
        is_before_start=True,
    ),
    Failure(
        "host name is none",
        f'{PROVISION}cannot use "a b" as a host name',
        media=replace(WANTED, hostname="a b"),
        repaired=ask_properly,
    ),
    by("useradd", f"{PROVISION}cannot create the user account azureuser", ("useradd",), fails(9)),
    by("useradd hangs", f"{PROVISION}cannot create the user account", ("useradd",), times_out()),
    by("no useradd", f"{PROVISION}cannot create the user account", ("useradd",), missing()),
    by("chpasswd", f"{PROVISION}cannot set the password of", ("chpasswd", "-e"), fails(1, "no")),
    by("visudo", f"{PROVISION}cannot change the sudoers file", ("visudo",), fails(1, ">>> bad")),
    Failure(
        "sudoers folder is a file",
        f"{PROVISION}cannot make the directory",
        broken=lambda world: (vacate("/etc/sudoers.d")(world), put("/etc/sudoers.d", "x")(world))[
            0
        ],
        repaired=lambda world: (
            take_away("/etc/sudoers.d")(world),
            occupy("/etc/sudoers.d")(world),
        )[0],
    ),
    Failure(
        "sshd refuses its settings",
        f"{PROVISION}cannot configure sshd: it refuses",
        command=("sshd",),
        answers=(fails(255, "bad"), ok()),
    ),
    Failure(
        "no SSH server",
        f"{PROVISION}cannot configure sshd: there is no /etc/ssh/sshd_config",
        broken=take_away("/etc/ssh/sshd_config"),
        repaired=put("/etc/ssh/sshd_config", "Port 22\n"),
    ),
    Failure(
        "no host keys",
        "[ProvisionError] Failed to generate ssh host key: cannot generate the SSH host keys",
        commands={("ssh-keygen",): fails(1, "entropy")},
        repaired=make_key,
    ),
    Failure(
        "public key is none",
        f'{PROVISION}cannot deploy the public key "rsa 1"',
        media=replace(WANTED, keys=(MediaKey(path="/home/azureuser/k", value="rsa 1"),)),
        repaired=ask_properly,
    ),
    Failure(
        "key path is not absolute",
        f'{PROVISION}cannot use "k" as the path of a key',
        media=replace(WANTED, keys=(MediaKey(path="k", value=KEY),)),
        repaired=ask_properly,
    ),
    Failure(
        "certificate that did not come",
        "[ProvisionError] Can't find AB12.crt",
        media=replace(WANTED, keys=(MediaKey(path="/home/azureuser/k", fingerprint="ab12"),)),
        repaired=ask_properly,
    ),
    Failure(
        "thumbprint that is a path",
        '[ProvisionError] "../../etc/shadow" is no thumbprint',
        media=replace(
            WANTED,
            key_pairs=(MediaKeyPair(path="/home/azureuser/k", fingerprint="../../etc/shadow"),),
        ),
        repaired=ask_properly,
    ),
    Failure(
        "key pair that did not come",
        "[ProvisionError] Can't find AB12.prv",
        media=replace(
            WANTED, key_pairs=(MediaKeyPair(path="/home/azureuser/k", fingerprint="AB12"),)
        ),
        repaired=ask_properly,
    ),
    Failure(
        "key that is none",
        "[CryptError] cannot read the private key",
        media=replace(
            WANTED, key_pairs=(MediaKeyPair(path="/home/azureuser/k", fingerprint="AB12"),)
        ),
        broken=put(f"{LIB}/AB12.prv", "\N{BULLET} no key"),
        repaired=ask_properly,
    ),
    Failure(
        "disk is in the way of the host name's record",
        "[ProvisionError] Failed to provision: IsADirectoryError: ",
        broken=occupy(f"{LIB}/published_hostname/x"),
        repaired=vacate(f"{LIB}/published_hostname"),
    ),
    Failure(
        "root's password cannot be locked",
        f"{PROVISION}cannot lock the root password in /etc/shadow",
        broken=take_away("/etc/shadow"),
        repaired=put("/etc/shadow", "root:x:1::::::\n"),
        is_media_ejected=True,
    ),
    Failure(
        "nowhere to keep custom data",
        "[ProvisionError] Failed to provision: IsADirectoryError: ",
        media=replace(WANTED, custom_data=b"data"),
        broken=occupy(f"{LIB}/CustomData/x"),
        repaired=vacate(f"{LIB}/CustomData"),
        is_media_ejected=True,
    ),
    Failure(
        "nowhere to note that it is provisioned",
        "[ProvisionError] Failed to provision: IsADirectoryError: ",
        broken=occupy(f"{LIB}/disable_agent/x"),
        repaired=vacate(f"{LIB}/disable_agent"),
        media=replace(WANTED, provision_guest_agent="false"),
        is_media_ejected=True,
    ),
)


def make(failure: Failure, folder: Path, fabric: Fabric) -> World:
    world = World(folder, fabric, failure.media, failure.conf, commands=failure.commands)
    if failure.command is not None:
        runner = world.guest.runner
        good = runner.answers[failure.command]
        assert isinstance(good, Answer)
        runner.answers = {**runner.answers, failure.command: [*failure.answers, good, good]}
    failure.broken(world)
    return world


@pytest.mark.parametrize("answer", [fails(1, "bad"), times_out()], ids=["refuses", "hangs"])
def test_key_is_deployed_whatever_sshd_says_of_its_settings(
    tmp_path: Path, fabric: Fabric, answer: Answer
) -> None:
    """The machine that failed can be entered, to see why."""
    present = ("sshd", "-t", "-f", "/etc/ssh/sshd_config")
    world = World(tmp_path, fabric, commands={("sshd",): answer, present: ok()})
    world.provision()
    assert "cannot configure sshd" in str(world.health[-1][2])
    assert world.guest.file(KEYS_FILE) == f"{WANTED.keys[0].value}\n"


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_failed_step_is_reported_and_the_next_start_succeeds(
    tmp_path: Path, fabric: Fabric, failure: Failure
) -> None:
    world = make(failure, tmp_path, fabric)
    assert world.provision() is not None, "extensions need the fabric all the same"
    told = world.health[-1]
    assert told[:2] == ("NotReady", "ProvisioningFailed")
    expected = failure.text.replace("{root}", str(tmp_path.resolve()))
    assert str(told[2]).startswith(expected)
    assert world.health[:-1] == ([] if failure.is_before_start else [STARTING])
    assert not world.has("provisioned")
    assert (("eject", "/dev/sr0") in world.ran) is failure.is_media_ejected
    assert world.events("Provision")[-1][0] is False

    failure.repaired(world)
    world.provision()
    assert world.health[-1] == READY
    assert world.has("provisioned")
    assert world.guest.file("/etc/passwd").count(f"\n{USER}:") == 1
    assert world.guest.file("/etc/sudoers.d/waagent").count("\n") == 1
    assert [argv for argv in world.ran if argv[0] == "eject"] == [("eject", "/dev/sr0")]


def test_failures_leave_no_half_written_files(tmp_path: Path, fabric: Fabric) -> None:
    for number, failure in enumerate(FAILURES):
        folder = tmp_path / str(number)
        world = make(failure, folder, fabric)
        world.provision()
        left = [path for path in folder.rglob(".*") if path.name not in (".ssh", ".pwd.lock")]
        left += [*folder.rglob("*.new"), *folder.rglob("*.waagent-new")]
        assert left == [], failure.name


def test_long_failure_is_cut_for_the_fabric(tmp_path: Path, fabric: Fabric) -> None:
    world = World(tmp_path, fabric, commands={("useradd",): fails(1, "e" * 100_000)})
    world.provision()
    assert 3000 < len(str(world.health[-1][2])) <= 3686


def test_failure_on_every_start_is_told_each_time(tmp_path: Path, fabric: Fabric) -> None:
    world = World(tmp_path, fabric, commands={("useradd",): fails(1)})
    for _ in range(3):
        world.provision()
    assert [report[1] for report in world.health] == ["Provisioning", "ProvisioningFailed"] * 3
