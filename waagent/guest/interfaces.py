"""Network interfaces: names, MACs, IPv4 addresses, and which one is the primary.

All from /sys/class/net and /proc/net, without asking a program or a socket (spec DAEMON 7.1).
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
from collections.abc import Iterable
from typing import Optional

from waagent.core import files
from waagent.core.records import dataclass
from waagent.core.system import System
from waagent.guest.routes import Route, find_primary, read_routes

log = logging.getLogger(__name__)

FOLDER = "/sys/class/net"
UP = 0x1
LOOPBACK = 0x8
MOST_ASKED = 8  # as many as a virtual machine on Azure has
_LEAF = re.compile(r"\|-- (\d+\.\d+\.\d+\.\d+)")


@dataclass(frozen=True)
class Interface:
    """A network interface of this guest."""

    name: str
    index: int
    mac: str
    is_up: bool
    is_loopback: bool
    addresses: tuple[str, ...] = ()

    @property
    def mac_bytes(self) -> bytes:
        """The six bytes of an Ethernet address; empty for other kinds of link."""
        octets = self.mac.split(":")
        return bytes(int(octet, 16) for octet in octets) if len(octets) == 6 else b""


def read_interfaces(system: System) -> tuple[Interface, ...]:
    """The interfaces, in the order of the kernel's index."""
    folder = system.path(FOLDER)
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    local = parse_local_addresses(files.read_if_there(system.path("/proc/net/fib_trie")) or "")
    routes = read_routes(system)
    found = [_read(system, name, local, routes) for name in names]
    return tuple(sorted((each for each in found if each), key=lambda each: each.index))


def find_primary_interface(system: System) -> Optional[Interface]:
    """The interface of the best default route; else the first that is up and no loopback.

    ``None`` on a guest without a network: whoever asks may ask again later, we never wait.
    """
    candidates = read_interfaces(system)
    name = find_primary(read_routes(system))
    for interface in candidates:
        if interface.name == name:
            return interface
    return next((each for each in candidates if each.is_up and not each.is_loopback), None)


def find_dhcp_interfaces(system: System) -> tuple[Interface, ...]:
    """Whom DHCP may be asked on: Ethernet interfaces that are up, the primary first.

    Then those that are hardware, then the others only if none is. A port of a bond, a bridge or
    of accelerated networking is not asked: what it belongs to is.
    """
    candidates = [
        each
        for each in read_interfaces(system)
        if each.is_up
        and not each.is_loopback
        and any(each.mac_bytes)
        and not _has(system, each.name, "master")
    ]
    primary = find_primary(read_routes(system))
    hardware = [each for each in candidates if _has(system, each.name, "device")]
    first = [each for each in candidates if each.name == primary]
    rest = [each for each in hardware or candidates if each.name != primary]
    return tuple([*first, *rest][:MOST_ASKED])


def parse_local_addresses(text: str) -> tuple[str, ...]:
    """The machine's own IPv4 addresses from a /proc/net/fib_trie, in its order, once each."""
    found: dict[str, None] = {}
    leaf = ""
    for line in text.splitlines():
        match = _LEAF.search(line)
        if match:
            leaf = match[1]
        elif leaf and "/32 host LOCAL" in line:
            found[leaf] = None
    return tuple(found)


def _has(system: System, name: str, what: str) -> bool:
    return os.path.lexists(system.entry(f"{FOLDER}/{name}/{what}"))


def _read(
    system: System, name: str, local: Iterable[str], routes: Iterable[Route]
) -> Optional[Interface]:
    def attribute(file: str) -> str:
        return (files.read_if_there(system.path(f"{FOLDER}/{name}/{file}")) or "").strip()

    try:
        flags = int(attribute("flags"), 16)
        index = int(attribute("ifindex"))
    except ValueError:  # it went away, or is no interface
        return None
    is_loopback = bool(flags & LOOPBACK)
    return Interface(
        name=name,
        index=index,
        mac=attribute("address").upper(),
        is_up=bool(flags & UP),
        is_loopback=is_loopback,
        addresses=tuple(_addresses_of(name, is_loopback, local, routes)),
    )


def _addresses_of(
    name: str, is_loopback: bool, local: Iterable[str], routes: Iterable[Route]
) -> Iterable[str]:
    """Local addresses in a network that the interface is directly connected to."""
    connected = [
        route.network for route in routes if route.interface == name and not route.has_gateway
    ]
    for text in local:
        address = ipaddress.IPv4Address(text)
        if address.is_loopback:
            if is_loopback:
                yield text
        elif any(address in network for network in connected):
            yield text
