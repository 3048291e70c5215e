"""Whether cloud-init is enabled on this guest, or has failed (spec DAEMON 5.1)."""

from __future__ import annotations

import logging
from typing import Optional

from waagent.core import files
from waagent.core.errors import CommandTimedOut
from waagent.core.system import System

log = logging.getLogger(__name__)

UNIT = "cloud-init-local.service"
LAST_UNIT = "cloud-final.service"
TIMEOUT_S = 30.0
RUNLEVELS = ("/etc/rcS.d", "/etc/rc2.d", "/etc/rc3.d", "/etc/rc5.d")
SWITCH = "cloud-init="
VERDICTS = {"enabled": "/run/cloud-init/enabled", "disabled": "/run/cloud-init/disabled"}
SWITCHES = {
    "enabled": "/etc/cloud/cloud-init.enabled",
    "disabled": "/etc/cloud/cloud-init.disabled",
}


def is_enabled(system: System) -> bool:
    """Whether cloud-init will run at a boot; who runs at the moment is not asked.

    Its units are enabled also where its own switch is off: then nothing runs them.
    """
    switch = find_switch_that_is_off(system)
    if switch is not None:
        log.info("cloud-init is disabled by %s", switch)
    enabled = switch is None and (
        _enabled_for_systemd(system)
        or _enabled_for_service(system)
        or _enabled_for_runlevels(system)
    )
    log.info("cloud-init is enabled: %s", enabled)
    return enabled


def find_switch_that_is_off(system: System) -> Optional[str]:
    """What keeps cloud-init from running in this boot, as its own generator looks at it.

    Its verdict if there is one; else the kernel's command line, else its files below /etc.
    """
    for word, path in VERDICTS.items():
        if system.path(path).exists():
            return path if word == "disabled" else None
    line = files.read_if_there(system.path("/proc/cmdline")) or ""
    words = [each[len(SWITCH) :] for each in line.split() if each.startswith(SWITCH)]
    if words and words[-1] in SWITCHES:
        return f"{SWITCH}{words[-1]}" if words[-1] == "disabled" else None
    for word, path in SWITCHES.items():
        if system.path(path).exists():
            return path if word == "disabled" else None
    return None


def has_failed(system: System) -> bool:
    """Whether the last of its services could not even be run to its end."""
    if not system.path("/run/systemd/system").is_dir():
        return False
    try:
        argv = ("systemctl", "is-failed", "--quiet", LAST_UNIT)
        return system.run(*argv, timeout_s=TIMEOUT_S).ok
    except CommandTimedOut:
        return False


def _enabled_for_systemd(system: System) -> bool:
    output = _ask(system, "systemctl", "is-enabled", UNIT)
    return output is not None and output.replace("\n", "") == "enabled"


def _enabled_for_service(system: System) -> bool:
    return _ask(system, "service", "cloud-init", "status") is not None


def _enabled_for_runlevels(system: System) -> bool:
    """Where System V's init runs: the scripts of cloud-init know no ``status``."""
    if system.path("/run/systemd/system").is_dir():
        return False
    folders = (system.path(path) for path in RUNLEVELS)
    return any(True for folder in folders for _ in folder.glob("S[0-9][0-9]cloud-init-local"))


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
