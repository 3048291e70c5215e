"""IPv4 routes: read /proc/net/route, compare, add one. Names of interfaces are not checked."""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Iterable
from typing import Optional

from waagent.core import files
from waagent.core.errors import CommandFailed
from waagent.core.records import dataclass
from waagent.core.sockets import ipv4_from_hex
from waagent.core.system import System

log = logging.getLogger(__name__)

TABLE = "/proc/net/route"
WIRE_SERVER_HEX = "10813FA8"  # 168.63.129.16, as the kernel writes it
GATEWAY_FLAG = 0x2
ANY = "0.0.0.0"
_ADDRESS = re.compile(r"[0-9A-Fa-f]{8}")
_COLUMNS = ("Iface", "Destination", "Gateway", "Flags", "Metric", "Mask")


@dataclass(frozen=True)
class Route:
    """A row of the route table, with addresses as dotted text."""

    interface: str
    destination: str
    gateway: str
    mask: str
    flags: int
    metric: int

    @property
    def has_gateway(self) -> bool:
        """Whether it leads through a gateway."""
        return bool(self.flags & GATEWAY_FLAG)

    @property
    def is_default(self) -> bool:
        """Whether it is a default route through a gateway (spec DAEMON 7.1)."""
        return self.destination == ANY and self.has_gateway

    @property
    def network(self) -> ipaddress.IPv4Network:
        """Where it leads."""
        return ipaddress.IPv4Network(f"{self.destination}/{self.mask}", strict=False)


def parse_routes(text: str) -> tuple[Route, ...]:
    """The rows of a /proc/net/route; a row that cannot be read is left out."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ()
    header = [column.strip() for column in lines[0].split("\t")]
    if any(column not in header for column in _COLUMNS):
        return ()
    routes = (_parse_row(header, line.split("\t")) for line in lines[1:])
    return tuple(route for route in routes if route is not None)


def read_routes(system: System) -> tuple[Route, ...]:
    """The routes of this guest; none when the table cannot be read."""
    return parse_routes(files.read_if_there(system.path(TABLE)) or "")


def has_wire_server_route(system: System) -> bool:
    """Whether a route names the wire server, as destination or gateway (spec DAEMON 6.2)."""
    text = files.read_if_there(system.path(TABLE)) or ""
    return any(WIRE_SERVER_HEX in line for line in text.splitlines())


def find_primary(routes: Iterable[Route]) -> Optional[str]:
    """The interface of the default route with the lowest metric, the first one on a tie."""
    defaults = [route for route in routes if route.is_default]
    return min(defaults, key=lambda route: route.metric).interface if defaults else None


def has_default(routes: Iterable[Route]) -> bool:
    """Whether there is any default route."""
    return any(route.destination == ANY and route.mask == ANY for route in routes)


def ensure_route(system: System, network: ipaddress.IPv4Network, gateway: str) -> bool:
    """Add a route unless one to the same network exists; whether it was added.

    One that cannot be added, or not in time, is a warning: the fabric may be reached without it.
    """
    if any(route.network == network for route in read_routes(system)):
        return False
    target = "default" if network.prefixlen == 0 else str(network)
    try:
        system.run("ip", "route", "add", target, "via", gateway, timeout_s=30.0).check()
    except CommandFailed as error:
        why = " ".join(str(error).split())
        log.warning("Cannot add the route to %s through %s: %s", target, gateway, why)
        return False
    return True


def _parse_row(header: list[str], cells: list[str]) -> Optional[Route]:
    row = dict(zip(header, (cell.strip() for cell in cells)))
    try:
        return Route(
            interface=row["Iface"],
            destination=_address(row["Destination"]),
            gateway=_address(row["Gateway"]),
            mask=_mask(row["Mask"]),
            flags=int(row["Flags"], 16),
            metric=int(row["Metric"]),
        )
    except (KeyError, ValueError):
        return None


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError(text)
    return ipv4_from_hex(text)


def _mask(text: str) -> str:
    mask = _address(text)
    ipaddress.IPv4Network(f"{ANY}/{mask}")  # a mask with holes is a ValueError
    return mask
