"""The guest's DHCP client: its pids, its leases, and who manages an interface.

Our own DHCP request is not here, but in the protocol floor.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import stat
from pathlib import Path
from typing import Optional

from waagent.core import files
from waagent.core.errors import GuestError
from waagent.core.system import System
from waagent.guest.interfaces import Interface
from waagent.guest.leases import parse_assignments, parse_dhclient, parse_packet
from waagent.guest.processes import find_processes
from waagent.guest.profile import DhcpClient, LeaseFiles, LeaseFormat
from waagent.guest.profiles import DHCP_CLIENTS

log = logging.getLogger(__name__)

LARGEST_LEASE = 1024 * 1024
MOST_LEASES = 100


class NetworkDaemon(enum.Enum):
    """What keeps an interface configured."""

    NETWORKD = "systemd-networkd"
    NETWORK_MANAGER = "NetworkManager"
    WICKED = "wicked"
    DHCPCD = "dhcpcd"
    DHCLIENT = "dhclient"
    UDHCPC = "udhcpc"


def find_pids(system: System, client: DhcpClient) -> tuple[int, ...]:
    """The client's process ids, sorted, or those of what runs in its place; none while none does.

    Distributions change their client from one version to the next, and administrators do.
    """
    for each in (client, *DHCP_CLIENTS):
        pids = tuple(process.pid for process in find_processes(system, each.process))
        if pids:
            return pids
    return ()


def find_leased_endpoint(system: System, client: DhcpClient) -> Optional[str]:
    """The wire server's address from leases; the last valid one counts.

    Leases of every known client are looked at, those of the one that is expected here at last.
    """
    found = None
    for source in _lease_sources(client):
        for pattern in source.patterns:
            paths = _matches(system, pattern)
            if paths or source in client.leases:
                log.info("looking for leases in path [%s]", pattern)
            for path in paths:
                found = _read_endpoint(system, path, source.format) or found
    if found is not None:
        log.info("cached endpoint found [%s]", found)
    else:
        log.info("cached endpoint not found")
    return found


def find_network_daemon(system: System, interface: Interface) -> Optional[NetworkDaemon]:
    """What manages the interface, by the state that each manager keeps; ``None`` if nothing does.

    The order matters: NetworkManager and wicked may run a dhclient of their own.
    """
    link = files.read_if_there(system.path(f"/run/systemd/netif/links/{interface.index}"))
    if link is not None and _says(link, "ADMIN_STATE", ("configured", "configuring")):
        return NetworkDaemon.NETWORKD
    device = files.read_if_there(system.path(f"/run/NetworkManager/devices/{interface.index}"))
    if device is not None and _says(device, "managed", ("true", "1")):
        return NetworkDaemon.NETWORK_MANAGER
    if system.path(f"/run/wicked/leaseinfo.{interface.name}.dhcp.ipv4").exists():
        return NetworkDaemon.WICKED
    for manager in (NetworkDaemon.DHCPCD, NetworkDaemon.DHCLIENT, NetworkDaemon.UDHCPC):
        for process in find_processes(system, manager.value):
            if _serves(manager, process.argv, interface.name):
                return manager
    return None


def _serves(manager: NetworkDaemon, argv: tuple[str, ...], interface: str) -> bool:
    """Whether a client with that command line cares for an interface.

    Without one, dhcpcd and dhclient take all there are, and udhcpc takes eth0. dhcpcd puts a title
    in place of its command line: ``dhcpcd: eth0 [ip4]``, ``dhcpcd: [manager] [ip4]``.
    """
    words = " ".join(argv).split()
    if interface in words or f"-i{interface}" in words:
        return True
    if manager is NetworkDaemon.UDHCPC:
        return interface == "eth0" and not any(word.startswith("-i") for word in words)
    if words[:1] == ["dhcpcd:"]:
        return "[master]" in words or "[manager]" in words
    return all(word.startswith("-") for word in words[1:])


def _lease_sources(client: DhcpClient) -> tuple[LeaseFiles, ...]:
    others = [source for each in DHCP_CLIENTS for source in each.leases]
    return (*(source for source in others if source not in client.leases), *client.leases)


def _matches(system: System, pattern: str) -> list[Path]:
    """The files of a pattern, the newest at last; of very many, the newest."""
    folder, _, name = pattern.rpartition("/")
    found = []
    try:
        for entry in system.path(folder).glob(name):
            with contextlib.suppress(OSError):  # a loop of links, or gone meanwhile
                path = system.path(f"{folder}/{entry.name}")
                state = path.stat()
                if stat.S_ISREG(state.st_mode):
                    found.append((state.st_mtime, path))
    except OSError as error:
        log.info("Cannot look for leases in %s: %s", folder, error)
    return [path for _, path in sorted(found)][-MOST_LEASES:]


def _read_endpoint(system: System, path: Path, form: LeaseFormat) -> Optional[str]:
    try:
        data = files.read(path, limit=LARGEST_LEASE)
        written = path.stat().st_mtime
    except (OSError, GuestError) as error:
        log.info("Failed to parse %s: %s", path, error)
        return None
    now = system.clock.now()
    if form is LeaseFormat.PACKET:
        return parse_packet(data, now.timestamp() - written)
    text = data.decode("utf-8", "replace")
    if form is LeaseFormat.DHCLIENT:
        return parse_dhclient(text, now)
    return parse_assignments(text)


def _says(text: str, key: str, values: tuple[str, ...]) -> bool:
    return any(line.strip() in [f"{key}={value}" for value in values] for line in text.splitlines())
