"""The provisioning document: from the media, or as it was saved by an earlier attempt.

The password exists only on the media and in our memory. So the media is unmounted when it is
read, and ejected only when account and password exist (ARCHITECTURE.md decision 9).
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Optional

from waagent.core import files
from waagent.core.context import Context
from waagent.core.errors import AgentError, GuestError, describe
from waagent.core.records import dataclass
from waagent.guest import media
from waagent.protocol.documents.ovf import OvfEnv, parse_ovf_env, without_password
from waagent.provisioning import marker
from waagent.provisioning.errors import ProvisioningError

log = logging.getLogger(__name__)

OVF_NAME = "ovf-env.xml"
TAG_NAME = "useMetadataEndpoint.tag"


class MediaError(ProvisioningError):
    """The media cannot be found, mounted or read."""

    label = "ProtocolError"


@dataclass(frozen=True)
class Request:
    """What is asked for; without ``device`` it comes from the saved copy, account made."""

    ovf: OvfEnv
    device: Optional[Path]

    @property
    def is_account_needed(self) -> bool:
        """Whether account, password and keys are still to be made."""
        return self.device is not None


def take_request(context: Context) -> Request:
    """Read the media and save what is in it, without the password.

    Raises ``MediaError`` or ``DocumentError``; the media is unmounted either way. What somebody
    else has mounted stays so, unless the document was on it.
    """
    saved = _find_saved(context)
    if saved is not None:
        log.info("Account and password exist; using the saved %s", OVF_NAME)
        return Request(saved, None)
    paths = context.paths
    log.info("Copying ovf-env.xml")
    device, folder = _mount(context)
    is_ours = folder == paths.dvd
    try:
        data = _read(folder / OVF_NAME)
        is_ours = True
        ovf = parse_ovf_env(data)
        _save(paths.ovf_env, without_password(data))
        _copy_tag(folder / TAG_NAME, paths.lib / TAG_NAME)
    finally:
        if is_ours:
            _unmount(context, folder)
    if ovf.is_newer:
        log.warning("Newer provisioning configuration detected. Please consider updating waagent")
    return Request(ovf, device)


def release(context: Context, request: Request) -> None:
    """Eject the media; its content is used. A failure is only logged."""
    if request.device is None:
        return
    log.info("Eject %s: account and password exist", request.device)
    try:
        media.eject(context.system, request.device)
    except AgentError as error:
        log.warning("Cannot eject %s: %s", request.device, describe(error))


def _find_saved(context: Context) -> Optional[OvfEnv]:
    """The document of an earlier attempt on this machine that got as far as the account."""
    path = context.paths.ovf_env
    if not marker.is_done(context, context.paths.account_ready):
        return None
    try:
        return parse_ovf_env(files.read(path))
    except (AgentError, OSError) as error:
        log.warning("Cannot use the saved %s, so the media is read: %s", path, describe(error))
        return None


def _mount(context: Context) -> tuple[Path, Path]:
    """The device of the media, and the folder where it is mounted."""
    system = context.system
    try:
        device = media.find_device(system)
        if device is None:
            raise GuestError("Failed to get dvd device from /dev")
        return device, media.mount(system, device, context.paths.dvd, stop=context.stop)
    except AgentError as error:
        raise MediaError(f"[CopyOvfEnv] Error mounting dvd: {error.for_fabric()}") from error


def _unmount(context: Context, folder: Path) -> None:
    try:
        media.unmount(context.system, folder)
    except AgentError as error:
        log.warning("Cannot unmount %s: %s", folder, describe(error))
    else:
        log.info("Unmounted dvd")


def _read(path: Path) -> bytes:
    try:
        return files.read(path)
    except (OSError, GuestError) as error:
        raise MediaError(f"[CopyOvfEnv] Error reading file {path}: {describe(error)}") from error


def _save(path: Path, data: bytes) -> None:
    try:
        files.write(path, data, mode=files.SECRET)
    except OSError as error:
        raise MediaError(f"[CopyOvfEnv] Error writing file {path}: {describe(error)}") from error


def _copy_tag(source: Path, target: Path) -> None:
    """Detection by file looks at it; the notes on 2.2.14 rely on it (decision 14)."""
    if source.is_file():
        log.info("Found %s in provisioning ISO", TAG_NAME)
        files.write(target, files.read(source), mode=files.SECRET)
