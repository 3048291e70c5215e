"""The provisioning media: its document, and the images that carry it."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.fabric.media import (
    OVF,
    WA,
    MediaKey,
    MediaKeyPair,
    OvfMedia,
    kernel_reads_discs,
    render_ovf_env,
    write_folder,
    write_iso,
    write_squashfs,
)

MEDIA = OvfMedia(
    hostname="vm-7",
    user="ada",
    password='p<&>"\u00e9',
    disable_password_authentication=True,
    keys=(
        MediaKey("/home/ada/.ssh/authorized_keys", value="ssh-ed25519 AAAA ada"),
        MediaKey("/home/ada/.ssh/authorized_keys", fingerprint="AB" * 20),
    ),
    key_pairs=(MediaKeyPair("/home/ada/.ssh/id_rsa", "CD" * 20),),
    custom_data=b"\x00\xffdata",
    tag=True,
    bom=True,
)


def texts(document: bytes, name: str) -> list[str]:
    """Every text of an element, wherever it stands."""
    return [e.text or "" for e in ET.fromstring(document).iter(f"{{{WA}}}{name}")]


def test_document_says_what_the_media_says_whatever_characters_it_holds() -> None:
    document = render_ovf_env(MEDIA)
    assert ET.fromstring(document).tag == f"{{{OVF}}}Environment"
    assert texts(document, "HostName") == ["vm-7"]
    assert texts(document, "UserPassword") == ['p<&>"\u00e9']
    assert texts(document, "DisableSshPasswordAuthentication") == ["true"]
    assert texts(document, "Fingerprint") == ["AB" * 20, "CD" * 20]
    assert texts(document, "CustomData") == ["AP9kYXRh"]


def test_document_has_no_element_for_what_was_left_out() -> None:
    document = render_ovf_env(OvfMedia())
    for name in ("UserPassword", "SSH", "CustomData", "DisableSshPasswordAuthentication"):
        assert texts(document, name) == []


def test_document_begins_with_a_byte_order_mark_only_when_asked() -> None:
    assert render_ovf_env(MEDIA).startswith(b"\xef\xbb\xbf<?xml")
    assert render_ovf_env(OvfMedia()).startswith(b"<?xml")


def test_folder_holds_the_document_and_the_tag(tmp_path: Path) -> None:
    folder = write_folder(MEDIA, tmp_path / "media")
    assert {p.name for p in folder.iterdir()} == {"ovf-env.xml", "useMetadataEndpoint.tag"}


def test_iso_holds_the_document_byte_for_byte(tmp_path: Path) -> None:
    image = write_iso(MEDIA, tmp_path / "media.iso")
    data = image.read_bytes()
    assert data[0x8001:0x8006] == b"CD001"
    assert b"NSR02" in data[0x8000:0x12000]  # UDF beside it
    assert render_ovf_env(MEDIA) in data


def test_iso_has_no_udf_when_only_iso9660_is_asked_for(tmp_path: Path) -> None:
    data = write_iso(MEDIA, tmp_path / "media.iso", udf=False).read_bytes()
    assert data[0x8001:0x8006] == b"CD001"
    assert b"NSR02" not in data[0x8000:0x12000]


def test_squashfs_holds_the_document_byte_for_byte(tmp_path: Path) -> None:
    image = write_squashfs(MEDIA, tmp_path / "media.squashfs")
    shown = subprocess.run(
        ["unsquashfs", "-cat", str(image), "ovf-env.xml"], capture_output=True, check=True
    )
    assert shown.stdout == render_ovf_env(MEDIA)


def test_missing_tool_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="squashfs-tools"):
        write_squashfs(MEDIA, tmp_path / "media.squashfs")
    with pytest.raises(FileNotFoundError, match="genisoimage"):
        write_iso(MEDIA, tmp_path / "media.iso")


@pytest.mark.parametrize(
    ("known", "answer"),
    [
        ("nodev\tsysfs\n\text4\n", False),
        ("\tiso9660\n", True),
        ("\tudf\n\text4\n", True),
        ("", False),
    ],
)
def test_kernel_that_knows_no_disc_format_is_told_by_its_list(known: str, answer: bool) -> None:
    assert kernel_reads_discs(known) is answer
