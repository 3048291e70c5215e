"""DHCP as Azure uses it: one DISCOVER, and what its OFFER says of endpoint and routes.

Bytes only: no socket and no lease file. Option 245 is the wire server's address (DAEMON 6.4, 6.6).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Optional

from waagent.core.errors import DocumentError
from waagent.core.records import dataclass
from waagent.guest.leases import server_address

COOKIE = bytes((0x63, 0x82, 0x53, 0x63))
MAX_BYTES = 65_535  # a UDP datagram has no more

_COOKIE_AT = 0xEC
_OPTIONS_AT = 0xF0
_TRANSACTION = slice(4, 8)
_MAC = slice(0x1C, 0x22)

_PAD, _ROUTER, _ROUTES, _ENDPOINT, _PRIVATE_ROUTES, _END = 0, 3, 121, 245, 249, 255


@dataclass(frozen=True)
class Route:
    """One classless route: ``168.63.129.16/32`` via a gateway."""

    network: str
    gateway: str


@dataclass(frozen=True)
class DhcpOffer:
    """What an answer says; ``notes`` is what in it could not be used."""

    transaction_id: bytes
    mac: bytes
    endpoint: Optional[str] = None
    gateway: Optional[str] = None
    routes: tuple[Route, ...] = ()
    notes: tuple[str, ...] = ()

    def answers(self, request: bytes) -> bool:
        """Whether this is the answer to that request: same transaction, same interface."""
        return self.transaction_id == request[_TRANSACTION] and self.mac == request[_MAC]


def render_discover(mac: bytes, transaction_id: bytes, *, broadcast: bool = False) -> bytes:
    """A DISCOVER of 244 bytes; ``broadcast`` asks that the answer be sent to everyone."""
    if len(mac) != 6 or len(transaction_id) != 4:
        raise ValueError("cannot build a DHCP request: a MAC has 6 bytes, a transaction id 4")
    packet = bytearray(_OPTIONS_AT)
    packet[0:3] = (1, 1, 6)  # BOOTREQUEST over Ethernet, whose addresses have 6 bytes
    packet[_TRANSACTION] = transaction_id
    packet[0x0A] = 0x80 if broadcast else 0
    packet[_MAC] = mac
    packet[_COOKIE_AT:_OPTIONS_AT] = COOKIE
    return bytes(packet) + bytes((53, 1, 1, _END))


def parse_offer(data: bytes) -> DhcpOffer:
    """An answer; one that is too short or no DHCP is a ``DocumentError``."""
    if not _OPTIONS_AT < len(data) <= MAX_BYTES:
        raise DocumentError(f"cannot read the DHCP response: it has {len(data)} bytes")
    if data[_COOKIE_AT:_OPTIONS_AT] != COOKIE:
        raise DocumentError("cannot read the DHCP response: the DHCP cookie is missing")
    notes: list[str] = []
    options: dict[int, bytes] = {}
    for code, value in _options(data, notes):
        is_routes = code in (_ROUTES, _PRIVATE_ROUTES)
        # A long list of routes is split over several options (RFC 3396); else the last counts.
        options[code] = options.get(code, b"") + value if is_routes else value
    endpoint = _parse_address(options.get(_ENDPOINT), "Endpoint", notes)
    if endpoint is not None and server_address(options[_ENDPOINT]) is None:
        notes.append(f"Endpoint {endpoint} is no address of a server")
        endpoint = None
    gateway = _parse_address(options.get(_ROUTER), "Default Gateway", notes)
    standard = _parse_routes(options, _ROUTES, notes)
    return DhcpOffer(
        transaction_id=data[_TRANSACTION],
        mac=data[_MAC],
        endpoint=endpoint,
        gateway=gateway if standard is None else None,
        routes=standard or _parse_routes(options, _PRIVATE_ROUTES, notes) or (),
        notes=tuple(notes),
    )


def _options(data: bytes, notes: list[str]) -> Iterator[tuple[int, bytes]]:
    at = _OPTIONS_AT
    while at < len(data) and data[at] != _END:
        code = data[at]
        if code == _PAD:
            at += 1
            continue
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            notes.append(f"Data too small for option:{code}")
            return
        end = at + 2 + data[at + 1]
        yield code, data[at + 2 : end]
        at = end


def _parse_address(value: Optional[bytes], name: str, notes: list[str]) -> Optional[str]:
    if value is None:
        return None
    if len(value) != 4:
        notes.append(f"{name} not 4 bytes")
        return None
    return str(ipaddress.IPv4Address(value))


def _parse_routes(
    options: dict[int, bytes], code: int, notes: list[str]
) -> Optional[tuple[Route, ...]]:
    """``None`` where there are none. Whoever has option 121 ignores 3 and 249 (RFC 3442)."""
    routes = _read_routes(options[code]) if options.get(code) else None
    if routes is None and code in options:
        notes.append("Unable to parse routes")
    return routes


def _read_routes(value: bytes) -> Optional[tuple[Route, ...]]:
    """Prefix length, as many bytes of the network as it needs, gateway; ``None`` if broken."""
    routes: list[Route] = []
    at = 0
    while at < len(value):
        prefix = value[at]
        size = (prefix + 7) // 8
        end = at + 1 + size + 4
        if prefix > 32 or end > len(value):
            return None
        network = ipaddress.IPv4Network(
            (value[at + 1 : at + 1 + size].ljust(4, b"\0"), prefix), strict=False
        )
        routes.append(Route(str(network), str(ipaddress.IPv4Address(value[end - 4 : end]))))
        at = end
    return tuple(routes)
