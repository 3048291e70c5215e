"""The host name: read it, set it, and have the DHCP server learn it.

Publishing never takes the network down. Each network manager is asked, in its own way, to say
the name again; where nothing manages the link nothing is done (architecture, issue of users'
first pain). Source: spec DAEMON 7.2, 7.3.
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Callable, Optional

from waagent.core import files
from waagent.core.errors import CommandFailed, CommandTimedOut, GuestError
from waagent.core.system import System
from waagent.guest import selinux
from waagent.guest.dhcp import NetworkDaemon, find_network_daemon
from waagent.guest.interfaces import Interface, find_primary_interface
from waagent.guest.profile import HostnameWriter, Profile

log = logging.getLogger(__name__)

KERNEL = "/proc/sys/kernel/hostname"
FILE = "/etc/hostname"
CLOUD_INIT = "/var/lib/cloud/data/set-hostname"
DHCLIENT_CONFS = ("/etc/dhcp/dhclient.conf", "/etc/dhcp3/dhclient.conf", "/etc/dhclient.conf")
WICKED_CONF = "/etc/sysconfig/network/dhcp"
TIMEOUT_S = 30.0
LONGEST = 4096  # /proc/sys refuses to be read with a large buffer
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_AUTOMATIC = re.compile(r"^\s*send\s+host-name\b.*(<hostname>|gethostname.*[(),])", re.MULTILINE)
_WICKED_KEY = "DHCLIENT_HOSTNAME_OPTION"


def read_hostname(system: System) -> str:
    """The name that the kernel has now; empty where the guest hides it."""
    return (files.read_if_there(system.path(KERNEL), limit=LONGEST) or "").strip()


def set_hostname(system: System, profile: Profile, name: str) -> None:
    """Give the machine a name, now and for later starts."""
    _refuse_bad(name)
    for writer in profile.hostname:
        if _WRITERS[writer](system, name):
            break
    if read_hostname(system) != name:
        _set_kernel(system, name)


def publish_hostname(system: System, name: str, *, record: Path) -> Optional[NetworkDaemon]:
    """Have the DHCP server learn the name, and record it; what was asked to say it, if anything.

    The record is written last: a start that finds another name there publishes again.
    """
    _refuse_bad(name)
    interface = find_primary_interface(system)
    manager = find_network_daemon(system, interface) if interface is not None else None
    configure_dhcp_name(system, name)
    if interface is None or manager is None:
        log.info("Nothing manages the network, so nothing has to be told the host name")
    elif manager in AT_NEXT_START:
        log.info("%s says the host name at its next start", manager.value)
    elif not _RENEWALS[manager](system, interface):
        log.warning(
            "Cannot have %s renew the lease of %s: the host name is published at its next renewal",
            manager.value,
            interface.name,
        )
    files.write(record, name)
    return manager


def configure_dhcp_name(system: System, name: str) -> bool:
    """Have DHCP clients that take the name from their own files send this one; whether any changed.

    Files that already send whatever the machine is called stay as they are.
    """
    changed = [_configure_dhclient(system, path, name) for path in DHCLIENT_CONFS]
    return any([*changed, _configure_wicked(system, name)])


def read_published_hostname(system: System, *, record: Path) -> str:
    """The name that was published last.

    Without a record it is what cloud-init was told, else the kernel's name, and becomes the
    record (spec DAEMON 7.2).
    """
    text = files.read_if_there(record)
    if text is not None and text.strip():
        return text.strip()
    name = _name_of_cloud_init(system) or read_hostname(system)
    log.info(
        "Published hostname record does not exist, creating [%s] with hostname [%s]",
        system.within(record),
        name,
    )
    files.write(record, name)
    return name


def _refuse_bad(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise GuestError(
            f'cannot use "{name[:64]}" as a host name: only letters, digits, "-" and "." can be'
            " in it"
        )


def _name_of_cloud_init(system: System) -> str:
    try:
        document = json.loads(files.read_text(system.path(CLOUD_INIT), limit=65536))
    except (OSError, ValueError, GuestError):
        return ""
    name = document.get("hostname") if isinstance(document, dict) else None
    return name if isinstance(name, str) else ""


def _by_hostnamectl(system: System, name: str) -> bool:
    if not system.has_command("hostnamectl"):
        return False
    command = ("hostnamectl", "set-hostname", name, "--static")
    try:
        result = system.run(*command, timeout_s=TIMEOUT_S)
    except CommandTimedOut as error:
        log.warning("Cannot set the host name by hostnamectl, using %s instead: %s", FILE, error)
        return False
    if not result.ok:
        log.warning(
            "Cannot set the host name by hostnamectl, using %s instead: %s",
            FILE,
            " ".join(result.output.split()),
        )
    return result.ok


def _by_file(system: System, name: str) -> bool:
    path = system.path(FILE)
    if path.exists():
        selinux.rewrite(path, f"{name}\n")
    else:
        files.write(path, f"{name}\n")
    return True


_WRITERS: dict[HostnameWriter, Callable[[System, str], bool]] = {
    HostnameWriter.HOSTNAMECTL: _by_hostnamectl,
    HostnameWriter.ETC_HOSTNAME: _by_file,
}


def _set_kernel(system: System, name: str) -> None:
    try:
        with system.path(KERNEL).open("w", encoding="ascii") as stream:
            stream.write(name)
    except OSError as error:
        try:
            system.run("hostname", name, timeout_s=TIMEOUT_S).check()
        except CommandFailed as failure:
            log.warning(
                "Cannot tell the kernel the host name before the next start: %s (%s)",
                error.strerror,
                " ".join(str(failure).split()),
            )


def _configure_dhclient(system: System, path_text: str, name: str) -> bool:
    path = system.path(path_text)
    text = files.read_if_there(path)
    if text is None or _AUTOMATIC.search(text):
        return False
    kept = [line for line in text.splitlines() if not re.match(r"\s*send\s+host-name\b", line)]
    edited = "\n".join([*kept, f'send host-name "{name}";']) + "\n"
    if edited == text:
        return False
    selinux.rewrite(path, edited)
    return True


def _configure_wicked(system: System, name: str) -> bool:
    path = system.path(WICKED_CONF)
    text = files.read_if_there(path)
    if text is None:
        return False
    lines = text.splitlines()
    values = [
        line.rpartition("=")[2].strip().strip("'\"")
        for line in lines
        if line.startswith(f"{_WICKED_KEY}=")
    ]
    if values and values[0] in ("AUTO", name):
        return False
    line = f'{_WICKED_KEY}="{name}"'
    if values:
        lines = [line if old.startswith(f"{_WICKED_KEY}=") else old for old in lines]
    else:
        lines.append(line)
    selinux.rewrite(path, "\n".join(lines) + "\n")
    return True


def _by_networkctl(system: System, interface: Interface) -> bool:
    return _asked(system, "networkctl", "renew", interface.name)


def _by_nmcli(system: System, interface: Interface) -> bool:
    return _asked(system, "nmcli", "device", "reapply", interface.name)


def _by_wicked(system: System, interface: Interface) -> bool:
    return _asked(system, "ifup", interface.name)  # of an interface that is up: no interruption


def _by_dhcpcd(system: System, interface: Interface) -> bool:
    return _asked(system, "dhcpcd", "--rebind", interface.name)


# Their name is fixed when they start, and starting them anew costs the address.
AT_NEXT_START = frozenset({NetworkDaemon.DHCLIENT, NetworkDaemon.UDHCPC})
_RENEWALS: dict[NetworkDaemon, Callable[[System, Interface], bool]] = {
    NetworkDaemon.NETWORKD: _by_networkctl,
    NetworkDaemon.NETWORK_MANAGER: _by_nmcli,
    NetworkDaemon.WICKED: _by_wicked,
    NetworkDaemon.DHCPCD: _by_dhcpcd,
}


def _asked(system: System, *argv: str) -> bool:
    try:
        result = system.run(*argv, timeout_s=TIMEOUT_S)
    except CommandTimedOut as error:
        log.warning("Cannot wait any longer: %s", error)
        return False
    return result.ok
