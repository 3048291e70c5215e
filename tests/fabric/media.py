"""The provisioning media that Azure puts in a new machine's DVD drive: a document on a disc.

Written from what is known of the real one; it shares nothing with the agent that reads it.
"""

from __future__ import annotations

import base64
import codecs
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional
from xml.sax.saxutils import escape

OVF_FILE = "ovf-env.xml"
TAG_FILE = "useMetadataEndpoint.tag"
VOLUME = "rd_rdfe_stable"
OVF = "http://schemas.dmtf.org/ovf/environment/1"
WA = "http://schemas.microsoft.com/windowsazure"
XSI = "http://www.w3.org/2001/XMLSchema-instance"


@dataclass(frozen=True)
class MediaKey:
    """A public key for the user: its text, or the thumbprint of a certificate that holds it."""

    path: str
    value: Optional[str] = None
    fingerprint: Optional[str] = None


@dataclass(frozen=True)
class MediaKeyPair:
    """A certificate whose key pair the user gets."""

    path: str
    fingerprint: str


@dataclass(frozen=True)
class OvfMedia:
    """What the media says; None leaves an element out.

    `tag` adds the file of on-premises fabrics, `bom` the three bytes that the real document has.
    """

    hostname: Optional[str] = "fabric-vm"
    user: Optional[str] = "azureuser"
    password: Optional[str] = None
    disable_password_authentication: Optional[bool] = None
    keys: tuple[MediaKey, ...] = ()
    key_pairs: tuple[MediaKeyPair, ...] = ()
    custom_data: Optional[bytes] = None
    provision_guest_agent: Optional[str] = "true"
    version: Optional[str] = "1.0"
    tag: bool = False
    bom: bool = False


def render_ovf_env(media: OvfMedia) -> bytes:
    """The document, in the shape and order of a real one."""
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<Environment xmlns="{OVF}" xmlns:oe="{OVF}" xmlns:wa="{WA}" xmlns:xsi="{XSI}">',
        "  <wa:ProvisioningSection>",
        *_element("wa:Version", media.version, 4),
        f'    <LinuxProvisioningConfigurationSet xmlns="{WA}" xmlns:i="{XSI}">',
        "      <ConfigurationSetType>LinuxProvisioningConfiguration</ConfigurationSetType>",
        *_configuration(media),
        "    </LinuxProvisioningConfigurationSet>",
        "  </wa:ProvisioningSection>",
        "  <wa:PlatformSettingsSection>",
        "    <wa:Version>1.0</wa:Version>",
        "    <wa:PlatformSettings>",
        "      <wa:KmsServerHostname>kms.core.windows.net</wa:KmsServerHostname>",
        *_element("wa:ProvisionGuestAgent", media.provision_guest_agent, 6),
        '      <wa:GuestAgentPackageName xsi:nil="true"/>',
        "      <wa:RetainWindowsPEPassInUnattend>true</wa:RetainWindowsPEPassInUnattend>",
        *_element("wa:RetainOfflineServicingPassInUnattend", "true", 6),
        "      <wa:PreprovisionedVm>false</wa:PreprovisionedVm>",
        "    </wa:PlatformSettings>",
        "  </wa:PlatformSettingsSection>",
        "</Environment>",
    ]
    start = codecs.BOM_UTF8 if media.bom else b""
    return start + "\r\n".join(lines).encode() + b"\r\n"


def write_folder(media: OvfMedia, folder: Path) -> Path:
    """Write the media's files into a folder that need not exist yet, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / OVF_FILE).write_bytes(render_ovf_env(media))
    if media.tag:
        (folder / TAG_FILE).write_bytes(b"")
    return folder


def write_iso(media: OvfMedia, path: Path, *, udf: bool = True) -> Path:
    """Write a disc image: UDF beside ISO 9660, as Azure's is, or ISO 9660 alone."""
    tool = _find_tool("an ISO 9660 image", ("genisoimage", "xorriso"), "genisoimage or xorriso")
    words = [tool, *(["-as", "mkisofs"] if tool.endswith("xorriso") else [])]
    words += ["-quiet", "-J", "-R", "-V", VOLUME, "-o", str(path)]
    if udf and not tool.endswith("xorriso"):
        words.append("-udf")
    return _pack(media, path, words)


def write_squashfs(media: OvfMedia, path: Path) -> Path:
    """Write the same files as squashfs, for kernels that know no disc format."""
    tool = _find_tool("a squashfs image", ("mksquashfs",), "squashfs-tools")
    path.unlink(missing_ok=True)
    folder_last = [tool, "", str(path), "-quiet", "-no-progress", "-all-root"]
    return _pack(media, path, folder_last)


def kernel_reads_discs(filesystems: str) -> bool:
    """Whether a kernel can mount the real media, by the text of its list of filesystems."""
    known = {line.split()[-1] for line in filesystems.splitlines() if line.split()}
    return bool(known & {"iso9660", "udf"})


def _configuration(media: OvfMedia) -> list[str]:
    disable = media.disable_password_authentication
    encoded = None
    if media.custom_data is not None:
        encoded = base64.b64encode(media.custom_data).decode()
    return [
        *_element("HostName", media.hostname, 6),
        *_element("UserName", media.user, 6),
        *_element("UserPassword", media.password, 6),
        *_element(
            "DisableSshPasswordAuthentication",
            None if disable is None else str(disable).lower(),
            6,
        ),
        *_ssh(media),
        *_element("CustomData", encoded, 6),
    ]


def _ssh(media: OvfMedia) -> list[str]:
    if not media.keys and not media.key_pairs:
        return []
    lines = ["      <SSH>"]
    if media.keys:
        lines.append("        <PublicKeys>")
        for key in media.keys:
            lines.append("          <PublicKey>")
            lines += _element("Fingerprint", key.fingerprint, 12)
            lines += _element("Path", key.path, 12)
            lines += _element("Value", key.value, 12)
            lines.append("          </PublicKey>")
        lines.append("        </PublicKeys>")
    if media.key_pairs:
        lines.append("        <KeyPairs>")
        for pair in media.key_pairs:
            lines.append("          <KeyPair>")
            lines += _element("Fingerprint", pair.fingerprint, 12)
            lines += _element("Path", pair.path, 12)
            lines.append("          </KeyPair>")
        lines.append("        </KeyPairs>")
    return [*lines, "      </SSH>"]


def _element(name: str, text: Optional[str], indent: int) -> list[str]:
    return [] if text is None else [f"{' ' * indent}<{name}>{escape(text)}</{name}>"]


def _find_tool(what: str, names: Sequence[str], package: str) -> str:
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    raise FileNotFoundError(f"cannot write {what}: install the package {package}")


def _pack(media: OvfMedia, path: Path, words: list[str]) -> Path:
    with tempfile.TemporaryDirectory(prefix="fabric-media-") as scratch:
        folder = str(write_folder(media, Path(scratch) / "media"))
        argv = [word or folder for word in words]
        argv += [] if "" in words else [folder]
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise OSError(f"cannot write {path}: {argv[0]} said {done.stderr.strip()}")
    return path
