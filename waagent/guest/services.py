"""Services of the guest, under the init system that runs it: systemd, OpenRC or System V."""

from __future__ import annotations

import enum
import logging
import re

from waagent.core import files
from waagent.core.errors import CommandTimedOut
from waagent.core.system import System

log = logging.getLogger(__name__)

TIMEOUT_S = 60.0
LIMIT = 4096


class Init(enum.Enum):
    """What runs services here."""

    SYSTEMD = "systemd"
    OPENRC = "openrc"
    SYSV = "sysv"
    NONE = "none"


def init_of(system: System) -> Init:
    """The init system that runs now (for systemd: sd_booted(3))."""
    if system.path("/run/systemd/system").is_dir():
        return Init.SYSTEMD
    if (files.read_if_there(system.path("/proc/1/comm"), limit=LIMIT) or "").strip() == "systemd":
        return Init.NONE  # that of the machine on which an image is made, in this chroot
    if system.has_command("rc-service"):
        return Init.OPENRC
    return Init.SYSV if system.has_command("service") else Init.NONE


def is_active(system: System, name: str) -> bool:
    """Whether the service runs."""
    init = init_of(system)
    if init is Init.SYSTEMD:
        return _succeeds(system, "systemctl", "is-active", "--quiet", name)
    return init is not Init.NONE and _succeeds(system, *_classic(init, name, "status"))


def restart(system: System, name: str) -> bool:
    """Restart the service, started if it did not run; whether that worked."""
    init = init_of(system)
    if init is Init.SYSTEMD:
        return _started(system, "restart", name)
    return init is not Init.NONE and _succeeds(system, *_classic(init, name, "restart"))


def is_registered(system: System, name: str) -> bool:
    """Whether the service is started at each boot."""
    init = init_of(system)
    if init is Init.SYSTEMD:
        return _succeeds(system, "systemctl", "is-enabled", "--quiet", name)
    links = _RUNLEVEL_LINKS.get(init, ())
    names = [link.name for pattern in links for link in system.path("/etc").glob(pattern)]
    return any(_SEQUENCE.sub("", each) == name for each in names)


def stop(system: System, name: str) -> bool:
    """Stop the service; whether that worked."""
    init = init_of(system)
    if init is Init.SYSTEMD:
        return _succeeds(system, "systemctl", "stop", name)
    return init is not Init.NONE and _succeeds(system, *_classic(init, name, "stop"))


def start(system: System, name: str) -> bool:
    """Start the service if it does not run; whether it runs then."""
    init = init_of(system)
    if init is Init.SYSTEMD:
        return _started(system, "start", name)
    return init is not Init.NONE and _succeeds(system, *_classic(init, name, "start"))


def register(system: System, name: str) -> bool:
    """Have the service started at each boot, also one that was masked; whether that worked."""
    if init_of(system) is Init.SYSTEMD:
        _succeeds(system, "systemctl", "unmask", name)
    return _first_that_works(system, _registrations(init_of(system), name))


def unregister(system: System, name: str) -> bool:
    """Have the service no longer started at boot; whether that worked. It may go on running."""
    return _first_that_works(system, _removals(init_of(system), name))


def refresh(system: System, name: str) -> bool:
    """Have a service read its configuration again; one that was not to run stays so.

    On systemd the job ignores ordering: while booting, a service that is ordered after us would
    otherwise wait for us, and we for it (spec DAEMON 10.4, restart ssh). One that should run and
    does not is started: an image without host keys has an sshd that gave up before we had made
    any. Where a socket starts it for each connection nothing has to be done, and nothing is.
    """
    init = init_of(system)
    if init is Init.SYSTEMD:
        verb = "try-reload-or-restart"
        if _succeeds(system, "systemctl", "is-failed", "--quiet", name):
            _succeeds(system, "systemctl", "reset-failed", name)
            verb = "start"
        return _succeeds(system, "systemctl", "--job-mode=ignore-dependencies", verb, name)
    if init is Init.NONE or not (is_active(system, name) or is_registered(system, name)):
        return False
    return _succeeds(system, *_classic(init, name, "restart"))


_RUNLEVEL_LINKS = {
    Init.OPENRC: ("runlevels/*/*",),
    Init.SYSV: ("rc[2345].d/S*", "rc.d/rc[2345].d/S*"),
}
_SEQUENCE = re.compile(r"^S\d+")  # of System V: S01ssh
Commands = tuple[tuple[str, ...], ...]


def _registrations(init: Init, name: str) -> tuple[Commands, ...]:
    """Ways to have a service started at boot, each some commands that must all succeed.

    Where no init system runs (an image that is being built, in a chroot) the last way is right.
    """
    systemd: Commands = (("systemctl", "enable", name),)
    if init is Init.SYSTEMD:
        return (systemd,)
    if init is Init.OPENRC:
        return ((("rc-update", "add", name, "default"),),)
    return (
        (("update-rc.d", name, "defaults"), ("update-rc.d", name, "enable")),
        (("chkconfig", "--add", name), ("chkconfig", name, "on")),
        systemd,
    )


def _removals(init: Init, name: str) -> tuple[Commands, ...]:
    systemd: Commands = (("systemctl", "disable", name),)
    if init is Init.SYSTEMD:
        return (systemd,)
    if init is Init.OPENRC:
        return ((("rc-update", "delete", name, "default"),),)
    return ((("update-rc.d", name, "disable"),), (("chkconfig", name, "off"),), systemd)


def _first_that_works(system: System, ways: tuple[Commands, ...]) -> bool:
    return any(
        all(_succeeds(system, *command) for command in way)
        for way in ways
        if system.has_command(way[0][0])
    )


def _started(system: System, verb: str, name: str) -> bool:
    """Start it, a second time if need be: systemd refuses a service that was started too often.

    One that gave up while there was nothing to run it with, sshd without host keys, has used up
    its tries: to Debian 13 each is one.
    """
    if _succeeds(system, "systemctl", verb, name):
        return True
    forgotten = _succeeds(system, "systemctl", "reset-failed", name)
    return forgotten and _succeeds(system, "systemctl", verb, name)


def _classic(init: Init, name: str, verb: str) -> tuple[str, str, str]:
    program = "rc-service" if init is Init.OPENRC else "service"
    return program, name, verb


def _succeeds(system: System, *argv: str) -> bool:
    try:
        result = system.run(*argv, timeout_s=TIMEOUT_S)
    except CommandTimedOut as error:
        log.warning("Cannot wait any longer: %s", error)
        return False
    return result.ok
