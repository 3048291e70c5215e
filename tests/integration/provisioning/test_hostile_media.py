"""Media that is cut, wrong or hostile: what was wrong is told, and nothing is lost by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fabric import Fabric
from tests.fabric.media import MediaKey, render_ovf_env
from tests.support.new_machine import KEY, LIB, READY, STARTING, WANTED, World

DOCUMENT = render_ovf_env(WANTED)
BOMB = b'<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;">]><a>&y;</a>'
OUTSIDE = b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>'
VALIDATION = "[ProtocolError] Failed to validate OVF: "
UNREADABLE = "[ProtocolError] cannot read ovf-env.xml: "
PROVISION = "[ProvisionError] Failed to provision: [OSUtilError] "


def without(name: str) -> bytes:
    """The document without an element, be it with a prefix or without."""
    lines = DOCUMENT.decode().splitlines(keepends=True)
    wanted = (f"<{name}>", f"<wa:{name}>")
    return "".join(line for line in lines if not line.strip().startswith(wanted)).encode()


def emptied(name: str) -> bytes:
    """The document with an element that holds nothing."""
    lines = [
        f"<{name} xmlns='http://schemas.microsoft.com/windowsazure'/>\n"
        if f"{name}>" in line and "</" in line
        else line
        for line in DOCUMENT.decode().splitlines(keepends=True)
    ]
    return "".join(lines).encode()


def renamed(name: str) -> bytes:
    return DOCUMENT.replace(name.encode(), b"Other")


UNUSABLE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", UNREADABLE),
    "zeroes": (b"\0" * 4096, UNREADABLE),
    "noise": (bytes(range(256)) * 16, UNREADABLE),
    "only white space": (b" \r\n" * 100, UNREADABLE),
    "no XML": (b"this is not XML", UNREADABLE),
    "cut in the declaration": (DOCUMENT[:20], UNREADABLE),
    "cut in the middle": (DOCUMENT[: len(DOCUMENT) // 2], UNREADABLE),
    "cut at the end": (DOCUMENT[:-20], UNREADABLE),
    "more behind it": (DOCUMENT + DOCUMENT, UNREADABLE),
    "wrong bytes": (DOCUMENT.replace(b"azureuser", b"az\xffure"), UNREADABLE),
    "unknown entity": (DOCUMENT.replace(b"fabric-vm", b"&unknown;"), UNREADABLE),
    "entities that grow": (BOMB, f"{UNREADABLE}a document type declaration is refused"),
    "a file from outside": (OUTSIDE, f"{UNREADABLE}a document type declaration is refused"),
    "too deep": (b"<a>" * 100 + b"</a>" * 100, f"{UNREADABLE}nested deeper than 64 levels"),
    "another document": (b"<GoalState/>", f"{VALIDATION}Environment not found"),
    "another namespace": (
        DOCUMENT.replace(b"http://schemas.dmtf.org/ovf", b"http://example.com"),
        f"{VALIDATION}Environment not found",
    ),
    **{
        f"no {name}": (renamed(name), f"{VALIDATION}{name} not found")
        for name in (
            "ProvisioningSection",
            "LinuxProvisioningConfigurationSet",
            "PlatformSettingsSection",
            "ProvisionGuestAgent",
            "HostName",
            "UserName",
        )
    },
    "no Version": (without("Version"), f"{VALIDATION}Version not found"),
    **{
        f"empty {name}": (emptied(name), f"{VALIDATION}{name} not found")
        for name in ("HostName", "UserName", "ProvisionGuestAgent")
    },
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_media_is_told_and_good_media_then_used(
    tmp_path: Path, fabric: Fabric, name: str
) -> None:
    data, expected = UNUSABLE[name]
    world = World(tmp_path, fabric, data)
    assert world.provision() is not None, "the daemon goes on to the extensions"
    (told,) = world.health
    assert told[:2] == ("NotReady", "ProvisioningFailed")
    assert str(told[2]).startswith(expected)
    assert len(str(told[2])) < 300, "it repeats nothing of the document"
    assert not {"useradd", "eject", "chpasswd"} & {argv[0] for argv in world.ran}
    assert not world.has("provisioned")
    world.media = WANTED
    world.provision()
    assert world.health[-1] == READY


HOSTILE: dict[str, tuple[dict[str, object], str]] = {
    "host name with a newline": ({"hostname": "a\nb"}, f'{PROVISION}cannot use "a'),
    "host name that is an option": ({"hostname": "--static"}, f"{PROVISION}cannot use"),
    "host name too long": ({"hostname": "a" * 300}, f"{PROVISION}cannot use"),
    "host name of a shell": ({"hostname": "$(reboot)"}, f"{PROVISION}cannot use"),
    "user that is an option": ({"user": "-o"}, f'{PROVISION}cannot use "-o" as a user name'),
    "user with a colon": ({"user": "a:b"}, PROVISION),
    "user with a newline": ({"user": "a\nroot"}, PROVISION),
    "root": ({"user": "root"}, f"{PROVISION}cannot set the password of root: it is a system user"),
    "key of two lines": (
        {"keys": (MediaKey(path="/home/azureuser/k", value=f'{KEY}\ncommand="x" {KEY}'),)},
        f"{PROVISION}cannot deploy the public key",
    ),
    "key path to the root": (
        {"keys": (MediaKey(path="/..", value=KEY),)},
        f"{PROVISION}cannot use",
    ),
    "key path without an end": (
        {"keys": (MediaKey(path="/home/azureuser/" + "k" * 300, value=KEY),)},
        "[ProvisionError] Failed to provision: ",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_wish_is_refused_and_told(tmp_path: Path, fabric: Fabric, name: str) -> None:
    facts, expected = HOSTILE[name]
    world = World(tmp_path, fabric, replace(WANTED, **facts))  # type: ignore[arg-type]
    world.provision()
    first, told = world.health
    assert first == STARTING
    assert str(told[2]).startswith(expected), told
    assert ("eject", "/dev/sr0") not in world.ran
    sudoers = world.guest.path("/etc/sudoers.d/waagent")
    assert not sudoers.exists() or sudoers.read_text() == "azureuser ALL=(ALL) ALL\n"
    world.media = WANTED
    world.provision()
    assert world.health[-1] == READY


@pytest.mark.parametrize("cut", range(1, len(DOCUMENT), 211))
def test_media_cut_anywhere_never_ends_ready(tmp_path: Path, fabric: Fabric, cut: int) -> None:
    world = World(tmp_path, fabric, DOCUMENT[:cut])
    world.provision()
    assert [report[1] for report in world.health] == ["ProvisioningFailed"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace(b"  <wa:Prov", b"<!-- c --><?pi x?>  <wa:Prov"),
        lambda text: text.replace(b"fabric-vm", b"<![CDATA[fabric-vm]]>"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: b"\xff\xfe\xfd" + text,
        lambda text: b"\r\n\r\n" + text,
        lambda text: text.decode().encode("utf-16"),
        lambda text: text.replace(b"<wa:KmsServerHostname>", b"<wa:New/><wa:KmsServerHostname>"),
    ],
    ids=["comments", "cdata", "utf-8 mark", "odd mark", "blank lines", "utf-16", "new element"],
)
def test_odd_but_readable_media_is_used(
    tmp_path: Path, fabric: Fabric, spoil: Callable[[bytes], bytes]
) -> None:
    world = World(tmp_path, fabric, spoil(DOCUMENT))
    world.provision()
    assert world.health == [STARTING, READY]
    assert world.guest.file(f"{LIB}/published_hostname") == "fabric-vm"
