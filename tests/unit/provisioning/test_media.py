"""The media and the copy that is kept of it (spec DAEMON 4.3; decision 9)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Union

import pytest

from tests.fabric.media import OvfMedia, render_ovf_env
from tests.support.new_machine import DVD, LIB, PASSWORD, VM_ID, WANTED, World
from tests.support.runner import fails, missing, ok
from waagent.core.errors import AgentError, DocumentError
from waagent.protocol.documents.ovf import parse_ovf_env
from waagent.provisioning.media import MediaError, release, take_request

OVF = f"{LIB}/ovf-env.xml"
DOCUMENT = render_ovf_env(WANTED)
COPYING = "[ProtocolError] [CopyOvfEnv] Error "
MOUNTING = f"{COPYING}mounting dvd: "
PLAIN = b"<UserPassword>P4ss&lt;&amp;w0rd</UserPassword>"
Files = dict[str, Union[str, bytes]]
WORDS = (b"P4ss", b"w0rd")
FORMS = {
    "plain": PLAIN,
    "prefix": b"<wa:UserPassword>P4ss&lt;&amp;w0rd</wa:UserPassword>",
    "cdata": b"<UserPassword><![CDATA[P4ss<&w0rd]]></UserPassword>",
    "in pieces": b"<UserPassword>P4ss<!-- x -->&lt;&amp;<![CDATA[w0rd]]></UserPassword>",
    "attributes": b'<UserPassword hint="P4ss">P4ss&lt;&amp;w0rd</UserPassword >',
    "several lines": b"<UserPassword\n>P4ss&lt;\r\n&amp;w0rd\n</UserPassword\n>",
    "references": b"<UserPassword>P4ss&#60;&#x26;w0r&#100;w0rd</UserPassword>",
    "twice": PLAIN + b"<UserPassword>P4ssw0rd</UserPassword>",
    "elsewhere": PLAIN + b"<Deep><AdminPassword>P4ssw0rd</AdminPassword></Deep>",
    "with children": b"<UserPassword>P4ss&lt;&amp;w0rd<b>P4ssw0rd</b>w0rd</UserPassword>",
}


def test_media_is_read_unmounted_and_kept_in_the_drive(tmp_path: Path) -> None:
    world = World(tmp_path)
    request = take_request(world.context)
    assert request.ovf.password == PASSWORD
    assert request.device == world.guest.path("/dev/sr0")
    assert request.is_account_needed
    assert [argv[0] for argv in world.guest.ran] == ["mount", "umount"]
    assert world.guest.mode(OVF) == 0o600


@pytest.mark.parametrize("form", FORMS)
def test_password_is_out_of_the_copy_however_it_is_written(tmp_path: Path, form: str) -> None:
    assert PLAIN in DOCUMENT
    world = World(tmp_path, media=DOCUMENT.replace(PLAIN, FORMS[form]))
    request = take_request(world.context)
    assert str(request.ovf.password).startswith("P4ss")
    saved = world.guest.path(OVF).read_bytes()
    assert not [word for word in WORDS if word in saved]
    assert b"azureuser" in saved
    assert "P4ss" not in repr(request)


def test_copy_says_all_else_that_the_media_says(tmp_path: Path) -> None:
    asked = replace(WANTED, custom_data=b"data", provision_guest_agent="false", tag=True, bom=True)
    world = World(tmp_path, media=asked)
    request = take_request(world.context)
    saved = parse_ovf_env(world.guest.path(OVF).read_bytes())
    assert saved == replace(request.ovf, password="*")
    assert world.has("useMetadataEndpoint.tag")


@pytest.mark.parametrize(
    ("device", "is_ejected"), [("/dev/sr0", True), ("/dev/vdb", False), ("/dev/cdrom0", True)]
)
def test_media_is_ejected_when_it_is_no_longer_needed(
    tmp_path: Path, device: str, is_ejected: bool
) -> None:
    world = World(tmp_path, files={device: ""}, without=("/dev/sr0",) * (device != "/dev/sr0"))
    request = take_request(world.context)
    release(world.context, request)
    assert (("eject", device) in world.guest.ran) is is_ejected


def test_media_that_cannot_be_ejected_is_only_told(tmp_path: Path) -> None:
    world = World(tmp_path, commands={("eject",): fails(1, "locked")})
    release(world.context, take_request(world.context))
    assert world.guest.ran[-1] == ("eject", "/dev/sr0")


def test_drive_is_ejected_by_the_kernel_where_there_is_no_program(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, commands={("eject",): missing()})
    release(world.context, take_request(world.context))
    assert "Cannot eject" in caplog.text
    assert "ioctl" in caplog.text, "a file is no drive, which the kernel says"


def test_media_that_cannot_be_unmounted_is_used_all_the_same(tmp_path: Path) -> None:
    world = World(tmp_path, commands={("umount",): fails(32, "busy")})
    assert take_request(world.context).ovf.user_name == "azureuser"


def test_media_that_is_mounted_already_is_read_where_it_is(tmp_path: Path) -> None:
    table = "/dev/sr0 /media/disc iso9660 ro 0 0\n"
    files: Files = {"/proc/mounts": table, "/media/disc/ovf-env.xml": DOCUMENT}
    world = World(tmp_path, files=files, commands={("umount", "/media/disc"): ok()})
    assert take_request(world.context).ovf.password == PASSWORD
    assert world.guest.ran == [("umount", "/media/disc")]


def test_disk_that_somebody_mounted_and_that_has_no_document_stays_mounted(tmp_path: Path) -> None:
    files: Files = {"/dev/vdb": "", "/proc/mounts": "/dev/vdb /data vfat rw 0 0\n"}
    world = World(tmp_path, files=files, without=("/dev/sr0",))
    with pytest.raises(MediaError, match=r"reading file .*/data/ovf-env\.xml"):
        take_request(world.context)
    assert world.guest.ran == []


@pytest.mark.parametrize(
    ("world", "error"),
    [
        ({"without": ("/dev/sr0",)}, f"{MOUNTING}[OSUtilError] Failed to get dvd device from /dev"),
        ({"commands": {("mount",): fails(32, "no medium")}}, f"{MOUNTING}[OSUtilError] cannot"),
        (
            {"commands": {("mount",): ok()}},
            f"{COPYING}reading file {{root}}{DVD}/ovf-env.xml: File",
        ),
        ({"files": {f"{OVF}/x": ""}}, f"{COPYING}writing file {{root}}{OVF}: IsADirectoryError"),
    ],
    ids=["no drive", "no medium", "no document", "no room"],
)
def test_media_that_cannot_be_copied_is_an_error_in_the_fabrics_words(
    tmp_path: Path, world: dict[str, object], error: str
) -> None:
    made = World(tmp_path, **world)  # type: ignore[arg-type]
    with pytest.raises(MediaError) as raised:
        take_request(made.context)
    assert raised.value.for_fabric().startswith(error.replace("{root}", str(tmp_path.resolve())))


def test_document_of_more_than_16_mib_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, media=DOCUMENT + b" " * (16 * 1024 * 1024))
    with pytest.raises(AgentError, match=r"Error reading file .*larger than"):
        take_request(world.context)


def test_media_is_unmounted_whatever_is_on_it(tmp_path: Path) -> None:
    world = World(tmp_path, media=b"\0" * 1000)
    with pytest.raises(DocumentError):
        take_request(world.context)
    assert world.guest.ran[-1] == ("umount", DVD)
    assert not world.has("ovf-env.xml")


def test_copy_is_read_instead_of_the_media_when_the_account_exists(tmp_path: Path) -> None:
    saved = render_ovf_env(replace(WANTED, password="*", hostname="saved"))
    files: Files = {OVF: saved, f"{LIB}/account_ready": VM_ID}
    world = World(tmp_path, files=files)
    request = take_request(world.context)
    assert (request.ovf.host_name, request.device) == ("saved", None)
    assert not request.is_account_needed
    release(world.context, request)
    assert world.guest.ran == []


@pytest.mark.parametrize("saved", [b"", b"<Environ", b"<a/>", None])
def test_media_is_read_again_when_the_copy_cannot_be_used(tmp_path: Path, saved: bytes) -> None:
    files = {f"{LIB}/account_ready": VM_ID.encode()}
    if saved is not None:
        files[OVF] = saved
    request = take_request(World(tmp_path, files=files).context)
    assert request.ovf.password == PASSWORD
    assert request.is_account_needed


def test_media_without_a_password_has_none_to_keep(tmp_path: Path) -> None:
    world = World(tmp_path, media=OvfMedia())
    assert take_request(world.context).ovf.password is None
