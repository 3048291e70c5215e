"""IPv4 routes: read /proc/net/route, compare, add one. Names of interfaces are not checked."""

from __future__ import annotations

import ipaddress
import itertools
import logging
import re
from collections.abc import Iterable, Iterator
from typing import Optional

from waagent.core import files
from waagent.core.errors import CommandFailed, GuestError
from waagent.core.records import dataclass
from waagent.core.sockets import ipv4_from_hex
from waagent.core.system import System

log = logging.getLogger(__name__)

TABLE = "/proc/net/route"
WIRE_SERVER_HEX = "10813FA8"  # 168.63.129.16, as the kernel writes it
GATEWAY_FLAG = 0x2
REJECT_FLAG = 0x200
ANY = "0.0.0.0"
MOST_ROUTES = 20_000
MOST_LINES = 4_000_000
LONGEST_LINE = 1024
ADD_WITHIN_S = 30.0
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
    def is_refusal(self) -> bool:
        """Whether it says that nothing leads there (unreachable, prohibit, blackhole)."""
        return bool(self.flags & REJECT_FLAG)

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
    """The routes of this guest; none when the table cannot be read.

    Of a very large table only the beginning, where the kernel has the default routes.
    """
    return parse_routes("".join(itertools.islice(_lines(system), MOST_ROUTES)))


def has_wire_server_route(system: System) -> bool:
    """Whether a route names the wire server, as destination or gateway (spec DAEMON 6.2)."""
    return any(WIRE_SERVER_HEX in line for line in _lines(system))


def find_primary(routes: Iterable[Route]) -> Optional[str]:
    """The interface of the default route with the lowest metric, the first one on a tie."""
    defaults = [route for route in routes if route.is_default and not route.is_refusal]
    return min(defaults, key=lambda route: route.metric).interface if defaults else None


def has_default(routes: Iterable[Route]) -> bool:
    """Whether there is any default route that leads somewhere."""
    return any(
        route.destination == ANY and route.mask == ANY and not route.is_refusal for route in routes
    )


def leads_to(routes: Iterable[Route], address: str) -> bool:
    """Whether any route leads towards an address, a default route too."""
    target = ipaddress.IPv4Address(address)
    return any(target in route.network and not route.is_refusal for route in routes)


def ensure_route(
    system: System, network: ipaddress.IPv4Network, gateway: str, device: str = ""
) -> bool:
    """Add a route unless one to the same network exists; whether it was added.

    One that cannot be added, or not in time, is a warning: the fabric may be reached without it.
    """
    if _has_route(system, network):
        return False
    target = "default" if network.prefixlen == 0 else str(network)
    way = () if gateway == ANY else ("via", gateway)  # RFC 3442: the network is on the link
    through = ("dev", device) if device else ()
    try:
        command = ("ip", "route", "add", target, *way, *through)
        system.run(*command, timeout_s=ADD_WITHIN_S).check()
    except CommandFailed as error:
        why = " ".join(str(error).split())
        log.warning("Cannot add the route to %s through %s: %s", target, gateway, why)
        return False
    return True


def _has_route(system: System, network: ipaddress.IPv4Network) -> bool:
    if network.prefixlen == 0:
        return has_default(read_routes(system))
    destination, mask = network.network_address.packed, network.netmask.packed
    return any(
        cells[1:2] == [destination[::-1].hex().upper()] and cells[7:8] == [mask[::-1].hex().upper()]
        for cells in (line.split("\t") for line in _lines(system))
    )


def _lines(system: System) -> Iterator[str]:
    """The table line by line: that of a router has hundreds of megabytes."""
    try:
        with files.open_plain(system.path(TABLE)) as table:
            for _ in range(MOST_LINES):
                line = table.readline(LONGEST_LINE)
                if not line:
                    return
                yield line.decode("ascii", "replace")
    except (OSError, GuestError) as error:
        if not isinstance(error, FileNotFoundError):
            log.error("Cannot read %s: %s", TABLE, error)


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
