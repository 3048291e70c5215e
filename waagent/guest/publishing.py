"""Having the DHCP server learn the host name, while the link keeps its address.

NetworkManager can be told. The others keep the name that they began with, or drop the address to
learn another (docs/containers.md), so we tell the server in the client's name: by the DHCPREQUEST
that extends its lease (RFC 2131 4.3.2). What clients read from files is not written here."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Callable, Optional

from waagent.core.errors import CommandTimedOut
from waagent.core.raw_udp import exchange_beside_client
from waagent.core.system import System
from waagent.guest.bound import Bound, find_bound
from waagent.guest.dhcp import NetworkDaemon
from waagent.guest.interfaces import Interface
from waagent.guest.leases import MAGIC, OPTIONS_START, packet_options

log = logging.getLogger(__name__)

TIMEOUT_S = 30.0
ANSWERS_S = (1.0, 2.0, 4.0)
EVERYONE = "255.255.255.255"
LONGEST_NAME = 255

REQUEST, ACK = 3, 5
_MESSAGE, _CLIENT_ID, _NAME, _END = 53, 61, 12, 255

Exchange = Callable[[bytes, Interface, Bound, float], Optional[bytes]]
"""Sends a packet in a client's name and waits so long; the answer, or ``None``."""


def tell_name(
    system: System,
    interface: Interface,
    manager: NetworkDaemon,
    name: str,
    *,
    exchange: Optional[Exchange] = None,
) -> bool:
    """Have the DHCP server learn the name; whether it has, or has nothing to do with the link."""
    if manager is NetworkDaemon.NETWORK_MANAGER and _tell_network_manager(system, interface, name):
        return True
    bound = find_bound(system, interface, manager)
    if bound is None:
        log.info(
            "%s has no lease for %s, so no DHCP server has to be told the host name",
            manager.value,
            interface.name,
        )
        return True
    return _tell_server(interface, bound, name, exchange or _exchange_of(system))


def render_request(interface: Interface, bound: Bound, name: str, transaction: bytes) -> bytes:
    """A DHCPREQUEST that extends a lease and says a name (RFC 2131 4.3.2 and table 5)."""
    packet = bytearray(OPTIONS_START)
    packet[0:3] = (1, 1, 6)
    packet[4:8] = transaction
    packet[12:16] = bytes(int(octet) for octet in bound.address.split("."))
    packet[28:34] = interface.mac_bytes
    options = bytes((_MESSAGE, 1, REQUEST))
    for code, value in ((_CLIENT_ID, bound.client_id), (_NAME, name.encode()[:LONGEST_NAME])):
        if value:
            options += bytes((code, len(value))) + value
    return bytes(packet) + MAGIC + options + bytes((_END,))


def is_acknowledged(reply: bytes) -> bool:
    """Whether a server's answer is a DHCPACK."""
    return dict(packet_options(reply)).get(_MESSAGE) == bytes((ACK,))


def _tell_server(interface: Interface, bound: Bound, name: str, exchange: Exchange) -> bool:
    """Ask until there is an answer. A server that refuses changes nothing: it is not its client."""
    if len(interface.mac_bytes) != 6:
        log.warning("Cannot tell the DHCP server the host name: %s is no Ethernet", interface.name)
        return False
    packet = render_request(interface, bound, name, os.urandom(4))
    for answer_s in ANSWERS_S:
        try:
            reply = exchange(packet, interface, bound, answer_s)
        except OSError as error:
            log.warning("Cannot tell the DHCP server the host name: %s", error.strerror or error)
            return False
        if reply is not None and is_acknowledged(reply):
            log.info(
                "The DHCP server %s was told the host name for %s",
                bound.server or "of the network",
                bound.address,
            )
            return True
        if reply is not None:
            log.warning("The DHCP server refuses the host name for %s", bound.address)
            return False
    log.warning("No DHCP server answered when it was told the host name in %g s", sum(ANSWERS_S))
    return False


def _exchange_of(system: System) -> Exchange:
    """The network of this process, if that is the machine's; a mere folder has none."""

    def exchange(packet: bytes, interface: Interface, bound: Bound, s: float) -> Optional[bytes]:
        if system.root != Path("/"):
            return None
        server = bound.server or EVERYONE
        return exchange_beside_client(
            packet,
            device=interface.name,
            source=bound.address,
            server=server,
            timeout_s=s,
            clock=system.clock,
        )

    return exchange


def _tell_network_manager(system: System, interface: Interface, name: str) -> bool:
    """Have it ask for its address again with the name; a profile that has another one gets it."""
    if not _asked(system, "nmcli", "device", "modify", interface.name, "ipv4.dhcp-hostname", name):
        return False
    log.info("NetworkManager was told the host name for %s", interface.name)
    profile = _ask(system, "nmcli", "-g", "GENERAL.CON-UUID", "device", "show", interface.name)
    if not profile:
        return True
    key = "ipv4.dhcp-hostname"
    if _ask(system, "nmcli", "-g", key, "connection", "show", profile) not in ("", name):
        _asked(system, "nmcli", "connection", "modify", profile, key, name)
    return True


def _asked(system: System, *argv: str) -> bool:
    return _ask(system, *argv) is not None


def _ask(system: System, *argv: str) -> Optional[str]:
    """What a command printed; ``None``, and a line in the log, if it failed, hung or is missing."""
    try:
        result = system.run(*argv, timeout_s=TIMEOUT_S)
    except CommandTimedOut as error:
        log.warning("Cannot wait any longer: %s", error)
        return None
    if not result.ok:
        log.warning("Cannot run %s: %s", " ".join(argv), " ".join(result.output.split()))
        return None
    return result.stdout.strip()
