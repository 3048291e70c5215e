"""Wait for what cloud-init leaves behind, and tell the fabric (spec DAEMON 5.9).

cloud-init sets the machine up; we touch neither hostname nor users nor media. Nobody waits half
an hour for what will never come: see ``traces``.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Callable, Optional, TypeVar

from waagent.core import files
from waagent.core.context import Context
from waagent.core.errors import AgentError, Exit, describe
from waagent.guest import cloudinit, ssh
from waagent.protocol.documents.ovf import OvfEnv, parse_ovf_env
from waagent.provisioning import traces
from waagent.provisioning.errors import ProvisioningError

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE_S = 1800
FIRST_WORD_S = 10
LONGEST_SILENCE_S = 320
LOOK_FOR_REASONS_S = 10
GRACE_S = 60
"""What others still write when cloud-init has ended, such as a service that makes host keys."""

HALF_WRITTEN_S = 10
"""How long a file may be unreadable: cloud-init does not write it in one piece."""


def wait_for_ovf_env(context: Context) -> OvfEnv:
    """The provisioning document, once cloud-init has copied it."""
    path = context.paths.ovf_env
    failures = []

    def take() -> Optional[OvfEnv]:
        if not path.is_file():
            return None
        try:
            return parse_ovf_env(files.read(path))
        except (AgentError, OSError) as error:
            failures.append(error)
            if len(failures) <= HALF_WRITTEN_S:
                return None
            raise ProvisioningError(
                f"OVF xml could not be parsed [{path}]: {describe(error)}"
            ) from error

    return _wait_for(context, take, f"cloud-init to copy ovf-env.xml to {path}", str(path))


def wait_for_host_key(context: Context, key_type: str) -> str:
    """The fingerprint of the host key, once cloud-init has made it."""
    ssh_dir = context.conf.os.ssh_dir
    path = context.system.path(f"{ssh_dir}/ssh_host_{key_type}_key.pub")
    fingerprint = _wait_for(
        context,
        lambda: _find_fingerprint(path),
        f"ssh host key be generated at {path}",
        f"ssh host key {path}",
    )
    log.info("ssh host key found at: %s", path)
    log.info("Thumbprint obtained from : %s (%s)", path, fingerprint)
    return fingerprint


def _find_fingerprint(path: Path) -> Optional[str]:
    if not path.is_file():
        return None
    try:
        return ssh.read_fingerprint(path)
    except (AgentError, OSError) as error:
        log.warning("Could not get thumbprint from %s: %s", path, describe(error))
        return None


def _wait_for(context: Context, take: Callable[[], Optional[T]], what: str, subject: str) -> T:
    """Look each second; say so seldom; give up early when there is a reason to."""
    system = context.system
    silence_s, is_enabled = FIRST_WORD_S, True
    doomed_at: Optional[int] = None
    for waited_s in range(PATIENCE_S):
        taken = take()
        if taken is not None:
            return taken
        if waited_s % silence_s == 0:
            left = PATIENCE_S - waited_s
            log.info("Waiting for %s [%d attempts remaining, sleeping 1s between]", what, left)
            is_enabled = cloudinit.is_enabled(system)
            if not is_enabled:
                log.warning("cloud-init does not appear to be enabled")
            silence_s = min(silence_s * 2, LONGEST_SILENCE_S)
        if waited_s % LOOK_FOR_REASONS_S == 0:
            reason = traces.find_reason_to_give_up(system, is_enabled=is_enabled)
            doomed_at = None if reason is None else waited_s if doomed_at is None else doomed_at
            if doomed_at is not None and waited_s - doomed_at >= GRACE_S:
                raise ProvisioningError(f"Giving up, {subject} was not there: {reason}")
        if system.clock.wait(context.stop, 1.0):
            raise Exit(0, f"Stopped while waiting for {what}")
    raise ProvisioningError(f"Giving up, {subject} was not there after {PATIENCE_S}s")
