"""The lease that an interface is bound to: its address, the server, and the client's identifier.

What each DHCP client wrote down, to speak to the server in its name. Options are not here.
"""

from __future__ import annotations

import re
from typing import Optional

from waagent.core import files
from waagent.core.errors import GuestError
from waagent.core.records import dataclass
from waagent.core.system import System
from waagent.guest.dhcp import LARGEST_LEASE, NetworkDaemon
from waagent.guest.interfaces import Interface
from waagent.guest.leases import packet_options
from waagent.guest.processes import find_processes, is_of_our_user

_ASSIGNMENT = re.compile(r"(?:dhcp4\.)?(\w+)=['\"]?([^'\"]*)['\"]?")
# What follows the blanks is none: else a file without a semicolon would take hours.
_STATEMENT = re.compile(r"\s*(?:option\s+)?([\w-]+)\s+([^;\s][^;]*);")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_BYTES = re.compile(r"[0-9A-Fa-f]{1,2}(:[0-9A-Fa-f]{1,2})+|([0-9A-Fa-f]{2})+")
_ADDRESS_KEYS = ("ADDRESS", "ip_address", "IPADDR", "fixed-address")
_SERVER_KEYS = (
    *("SERVER_ADDRESS", "dhcp_server_identifier", "SERVERID"),
    "dhcp-server-identifier",
)
_CLIENT_KEYS = ("CLIENTID", "dhcp_client_identifier", "dhcp-client-identifier")


@dataclass(frozen=True)
class Bound:
    """A lease in use; the server is unknown where the client does not write it down."""

    address: str
    server: Optional[str] = None
    client_id: bytes = b""


def find_bound(system: System, interface: Interface, manager: NetworkDaemon) -> Optional[Bound]:
    """The lease of an interface that it has the address of; ``None`` if it has none by DHCP."""
    if manager is NetworkDaemon.NETWORKD:
        facts = _assignments(system, f"/run/systemd/netif/leases/{interface.index}")
    elif manager is NetworkDaemon.NETWORK_MANAGER:
        facts = _assignments(system, f"/run/NetworkManager/devices/{interface.index}")
    elif manager is NetworkDaemon.WICKED:
        facts = _assignments(system, f"/run/wicked/leaseinfo.{interface.name}.dhcp.ipv4")
    elif manager is NetworkDaemon.DHCPCD:
        return _of_packets(system, interface)
    elif manager is NetworkDaemon.DHCLIENT:
        facts = _of_dhclient(system, interface)
    else:  # udhcpc writes nothing down, and says 01 and its MAC unless told not to
        if not interface.addresses:
            return None
        return Bound(interface.addresses[0], None, b"\1" + interface.mac_bytes)
    address = _first(facts, _ADDRESS_KEYS).partition("/")[0]
    if address not in interface.addresses:
        return None
    server = _first(facts, _SERVER_KEYS)
    known = server if _ADDRESS.fullmatch(server) else None
    return Bound(address, known, parse_client_id(_first(facts, _CLIENT_KEYS)))


def parse_client_id(text: str) -> bytes:
    """``01:0:d:3a`` or ``01000d3a`` as bytes; none for what is written otherwise."""
    match = _BYTES.fullmatch(text)
    if match is None:
        return b""
    digits = "".join(part.zfill(2) for part in text.split(":"))
    return bytes.fromhex(digits)[:255]


def _first(facts: dict[str, str], keys: tuple[str, ...]) -> str:
    return next((facts[key] for key in keys if facts.get(key)), "")


def _assignments(system: System, path: str) -> dict[str, str]:
    found = (_ASSIGNMENT.fullmatch(line.strip()) for line in _text(system, path).splitlines())
    return {match[1]: match[2] for match in found if match}


def _of_dhclient(system: System, interface: Interface) -> dict[str, str]:
    """The last lease of the interface with an address that it has, in the file that is in use."""
    places = [
        f"/var/lib/dhcp/dhclient.{interface.name}.leases",
        "/var/lib/dhcp/dhclient.leases",
        f"/var/lib/dhclient/dhclient-{interface.name}.leases",
        f"/var/lib/dhclient/dhclient--{interface.name}.lease",
        "/var/lib/dhclient/dhclient.leases",
    ]
    for process in find_processes(system, "dhclient"):
        if (
            interface.name in process.argv
            and "-lf" in process.argv[:-1]
            and is_of_our_user(system, process.pid)
        ):
            places.insert(0, process.argv[process.argv.index("-lf") + 1])
    for place in places:
        for block in reversed(_text(system, place).split("lease {")[1:]):
            lines = block.partition("\n}")[0].split("\n")
            facts = {m[1]: m[2].strip() for m in map(_STATEMENT.match, lines) if m}
            is_ours = facts.get("interface", "").strip('"') in ("", interface.name)
            if is_ours and facts.get("fixed-address") in interface.addresses:
                return facts
    return {}


def _of_packets(system: System, interface: Interface) -> Optional[Bound]:
    """dhcpcd keeps the server's packet; its server is in option 54."""
    for folder in ("/var/lib/dhcpcd", "/var/lib/dhcpcd5"):
        data = _data(system, f"{folder}/{interface.name}.lease")
        address = ".".join(str(byte) for byte in data[16:20])
        options = dict(packet_options(data))
        if not options or address not in interface.addresses:
            continue
        server = options.get(54, b"")
        known = ".".join(str(byte) for byte in server) if len(server) == 4 else None
        return Bound(address, known, options.get(61, b""))
    return None


def _text(system: System, path: str) -> str:
    return _data(system, path).decode("utf-8", "replace")


def _data(system: System, path: str) -> bytes:
    try:
        return files.read(system.path(path), limit=LARGEST_LEASE)
    except (OSError, GuestError):
        return b""
