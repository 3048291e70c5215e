"""Wait for what cloud-init leaves behind, and tell the fabric (spec DAEMON 5.9).

cloud-init sets the machine up; we touch neither hostname nor users nor media.
"""

from __future__ import annotations

import logging
from pathlib import Path

from waagent.core import files
from waagent.core.context import Context
from waagent.core.errors import DocumentError
from waagent.guest import cloudinit
from waagent.protocol.documents.ovf import OvfEnv, parse_ovf_env
from waagent.provisioning.errors import ProvisioningError

log = logging.getLogger(__name__)

PATIENCE_S = 1800
FIRST_WORD_S = 10
LONGEST_SILENCE_S = 320


def wait_for_ovf_env(context: Context) -> OvfEnv:
    """The provisioning document, once cloud-init has copied it."""
    path = context.paths.ovf_env
    _wait_for(context, path, f"cloud-init to copy ovf-env.xml to {path}")
    try:
        return parse_ovf_env(files.read(path))
    except DocumentError as error:
        raise ProvisioningError(f"OVF xml could not be parsed [{path}]: {error}") from error


def wait_for_host_key(context: Context, key_type: str) -> Path:
    """The public host key, once cloud-init has made it."""
    ssh_dir = context.conf.os.ssh_dir
    path = context.system.path(f"{ssh_dir}/ssh_host_{key_type}_key.pub")
    _wait_for(context, path, f"ssh host key be generated at {path}")
    log.info("ssh host key found at: %s", path)
    return path


def _wait_for(context: Context, path: Path, what: str) -> None:
    """Look each second; say so seldom, and say it when cloud-init is not even enabled."""
    silence_s = FIRST_WORD_S
    for waited_s in range(PATIENCE_S):
        if path.is_file():
            return
        if waited_s % silence_s == 0:
            left = PATIENCE_S - waited_s
            log.info("Waiting for %s [%d attempts remaining, sleeping 1s between]", what, left)
            if not cloudinit.is_enabled(context.system):
                log.warning("cloud-init does not appear to be enabled")
            silence_s = min(silence_s * 2, LONGEST_SILENCE_S)
        if context.system.clock.wait(context.stop, 1.0):
            break
    raise ProvisioningError(f"Giving up, {path} was not there after {PATIENCE_S}s")
