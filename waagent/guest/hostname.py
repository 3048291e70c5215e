"""The host name: read it, set it, write it where DHCP clients look, and record what is published.

How the DHCP server learns it is in `publishing`. Source: spec DAEMON 7.2, 7.3.
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Callable, Optional

from waagent.core import files
from waagent.core.errors import CommandTimedOut, GuestError
from waagent.core.system import KERNEL_HOSTNAME, System
from waagent.guest import selinux
from waagent.guest.dhcp import NetworkDaemon, find_network_daemon
from waagent.guest.interfaces import find_primary_interface
from waagent.guest.profile import HostnameWriter, Profile
from waagent.guest.publishing import Exchange, tell_name

log = logging.getLogger(__name__)

FILE = "/etc/hostname"
FILE_OF_SUSE = "/etc/HOSTNAME"  # a link to the other since SUSE 12
CLOUD_INIT = "/var/lib/cloud/data/set-hostname"
DHCLIENT_CONFS = ("/etc/dhcp/dhclient.conf", "/etc/dhcp3/dhclient.conf", "/etc/dhclient.conf")
IFCFG_FOLDER = "/etc/sysconfig/network-scripts"
WICKED_CONF = "/etc/sysconfig/network/dhcp"
TIMEOUT_S = 30.0
LONGEST = 4096  # /proc/sys refuses to be read with a large buffer
LONGEST_IN_KERNEL = 64  # __NEW_UTS_LEN; a file may hold a longer name
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_AUTOMATIC = re.compile(r"^\s*send\s+host-name\b.*(<hostname>|gethostname.*[(),])", re.MULTILINE)
_IFCFG_KEY = "DHCP_HOSTNAME"
_WICKED_KEY = "DHCLIENT_HOSTNAME_OPTION"


def read_hostname(system: System) -> str:
    """The name that the kernel has now; empty where the guest hides it."""
    return (files.read_if_there(system.path(KERNEL_HOSTNAME), limit=LONGEST) or "").strip()


def set_hostname(system: System, profile: Profile, name: str) -> None:
    """Give the machine a name, now and for later starts."""
    _refuse_bad(name)
    for writer in profile.hostname:
        if _WRITERS[writer](system, name):
            break
    if read_hostname(system) != name:
        _set_kernel(system, name)


def kernel_takes_not(system: System, name: str) -> bool:
    """Whether the machine has this name, and only its kernel has another as it does not take it.

    So it is where the name stands in /etc/hostname and is too long for the kernel, or where the
    kernel takes none at all, as in a container. The latter is found out by giving the kernel the
    very name that it has, which changes nothing.
    """
    current = read_hostname(system)
    kept = (files.read_if_there(system.path(FILE), limit=LONGEST) or "").strip()
    if not current or current == name or kept != name:
        return False
    if len(name) > LONGEST_IN_KERNEL:
        return True
    try:
        system.set_kernel_hostname(current)
    except OSError:
        return True
    return False


def publish_hostname(
    system: System, name: str, *, record: Path, exchange: Optional[Exchange] = None
) -> Optional[NetworkDaemon]:
    """Have the DHCP server learn the name, and record it; what manages the link, if anything.

    The link keeps its address. The record is written last, and also when no server could be told:
    whatever manages the link says the name when it starts next.
    """
    _refuse_bad(name)
    interface = find_primary_interface(system)
    manager = find_network_daemon(system, interface) if interface is not None else None
    configure_dhcp_name(system, name)
    if interface is None or manager is None:
        log.info("Nothing manages the network, so nothing has to be told the host name")
    elif not tell_name(system, interface, manager, name, exchange=exchange):
        log.warning(
            "The DHCP server learns the host name of %s when %s starts next",
            interface.name,
            manager.value,
        )
    files.write(record, name)
    return manager


def configure_dhcp_name(system: System, name: str) -> bool:
    """Have DHCP clients that take the name from their own files send this one; whether any changed.

    Files that already send whatever the machine is called stay as they are.
    """
    changed = [_configure_dhclient(system, path, name) for path in DHCLIENT_CONFS]
    interface = find_primary_interface(system)
    if interface is not None:
        changed.append(_configure_ifcfg(system, interface.name, name))
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
            f'cannot use "{name[:64]}" as a host name: only letters, digits, "-", "_" and "." can'
            " be in it"
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
    path, old = system.path(FILE), system.path(FILE_OF_SUSE)
    if path.exists():
        selinux.rewrite(path, f"{name}\n")
    else:
        files.write(path, f"{name}\n")
    if old.is_file() and not old.is_symlink():
        selinux.rewrite(old, f"{name}\n")
    return True


_WRITERS: dict[HostnameWriter, Callable[[System, str], bool]] = {
    HostnameWriter.HOSTNAMECTL: _by_hostnamectl,
    HostnameWriter.ETC_HOSTNAME: _by_file,
}


def _set_kernel(system: System, name: str) -> None:
    try:
        system.set_kernel_hostname(name)
    except OSError as error:
        log.warning(
            "Cannot tell the kernel the host name before the next start: %s", error.strerror
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


def _configure_ifcfg(system: System, interface: str, name: str) -> bool:
    """RHEL's file of an interface, where there still is one (spec DAEMON 7.3)."""
    path = system.path(f"{IFCFG_FOLDER}/ifcfg-{interface}")
    text = files.read_if_there(path)
    if text is None:
        return False
    line = f"{_IFCFG_KEY}={name}"
    kept = [old for old in text.splitlines() if not old.startswith(f"{_IFCFG_KEY}=")]
    edited = "\n".join([*kept, line]) + "\n"
    if line in text.splitlines() and len(kept) + 1 == len(text.splitlines()):
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
