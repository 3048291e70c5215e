"""Whether cloud-init is enabled on this guest (spec DAEMON 5.1)."""

from __future__ import annotations

import logging
from typing import Optional

from waagent.core.errors import CommandTimedOut
from waagent.core.system import System

log = logging.getLogger(__name__)

UNIT = "cloud-init-local.service"
TIMEOUT_S = 30.0


def is_enabled(system: System) -> bool:
    """Whether the init system will run cloud-init; who runs at the moment is not asked."""
    enabled = _enabled_for_systemd(system) or _enabled_for_service(system)
    log.info("cloud-init is enabled: %s", enabled)
    return enabled


def _enabled_for_systemd(system: System) -> bool:
    output = _ask(system, "systemctl", "is-enabled", UNIT)
    return output is not None and output.replace("\n", "") == "enabled"


def _enabled_for_service(system: System) -> bool:
    return _ask(system, "service", "cloud-init", "status") is not None


def _ask(system: System, *argv: str) -> Optional[str]:
    """What a successful command printed."""
    if not system.has_command(argv[0]):
        return None
    try:
        result = system.run(*argv, timeout_s=TIMEOUT_S)
    except CommandTimedOut as error:
        log.info("Unable to get cloud-init enabled status from %s: %s", argv[0], error)
        return None
    if not result.ok:
        log.info(
            "Unable to get cloud-init enabled status from %s: %s",
            argv[0],
            " ".join(result.output.split()),
        )
        return None
    return result.stdout
