"""DHCP messages as bytes: what a client's says and breaks, and what the fabric answers.

No socket; it shares nothing with the agent.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Optional

COOKIE = b"\x63\x82\x53\x63"
FIXED_BYTES = 236
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
NAMES = {DISCOVER: "DISCOVER", REQUEST: "REQUEST", DECLINE: "DECLINE", RELEASE: "RELEASE"}
NAMES[INFORM] = "INFORM"

PAD, END = 0, 255
MASK, ROUTER, DNS, HOSTNAME, DOMAIN = 1, 3, 6, 12, 15
REQUESTED_IP, LEASE_TIME, TYPE, SERVER, PARAMETERS = 50, 51, 53, 54, 55
RENEWAL, REBINDING, ROUTES, WIRE_SERVER, PRIVATE_ROUTES = 58, 59, 121, 245, 249
FOREVER = 0xFFFFFFFF
_LENGTHS = {REQUESTED_IP: 4, TYPE: 1, SERVER: 4, LEASE_TIME: 4}
_FIXED = struct.Struct("!BBBB4sHH4s4s4s4s16s64s128s")


class BadMessage(Exception):
    """A datagram that no server could answer; the text says why."""


@dataclass(frozen=True)
class Message:
    """A client's message; `complaints` is what is wrong with it though it can be answered."""

    kind: int
    transaction: bytes
    flags: int
    client_address: str
    relay: bytes
    mac: bytes
    options: dict[int, bytes]
    complaints: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the RFC calls it."""
        return NAMES.get(self.kind, f"message {self.kind}")

    def address(self, option: int) -> Optional[str]:
        """An option that holds one address."""
        data = self.options.get(option)
        return str(ipaddress.IPv4Address(data)) if data and len(data) == 4 else None

    @property
    def hostname(self) -> Optional[str]:
        """The name that the client says it has."""
        data = self.options.get(HOSTNAME)
        return data.decode(errors="replace").rstrip("\0") if data else None


@dataclass(frozen=True)
class HostRoute:
    """One classless route."""

    network: str
    gateway: str


@dataclass(frozen=True)
class Lease:
    """What the fabric tells a guest about its network; None leaves an option out."""

    address: str = "10.0.0.4"
    prefix: int = 24
    router: Optional[str] = "10.0.0.1"
    server: str = "168.63.129.16"
    wire_server: Optional[str] = "168.63.129.16"
    name_server: Optional[str] = "168.63.129.16"
    domain: Optional[str] = "fabric.internal.cloudapp.net"
    server_name: str = "FABRICHOST01"
    lease_s: int = FOREVER
    routes: tuple[HostRoute, ...] = field(
        default_factory=lambda: (
            HostRoute("168.63.129.16/32", "10.0.0.1"),
            HostRoute("169.254.169.254/32", "10.0.0.1"),
        )
    )


def parse_message(data: bytes) -> Message:
    """Read a client's message; `BadMessage` where there is nothing to answer."""
    if len(data) < FIXED_BYTES + len(COOKIE):
        raise BadMessage(f"{len(data)} bytes are too few for a DHCP message")
    op, hardware, length, hops, xid, _, flags, ci, yi, si, gi, ch, sname, file = _FIXED.unpack_from(
        data
    )
    if data[FIXED_BYTES : FIXED_BYTES + 4] != COOKIE:
        raise BadMessage("the magic cookie is missing")
    if (op, hardware, length) != (1, 1, 6):
        raise BadMessage(
            f"op, hardware type and length are {op}, {hardware}, {length}, not 1, 1, 6"
        )
    complaints: list[str] = []
    options = _parse_options(data[FIXED_BYTES + 4 :], complaints)
    if TYPE not in options:
        raise BadMessage("option 53, the message type, is missing")
    kind = options[TYPE][0]
    if kind not in NAMES:
        raise BadMessage(f"message type {kind} is none that a client sends")
    message = Message(kind, xid, flags, str(ipaddress.IPv4Address(ci)), gi, ch[:6], options=options)
    complaints += [
        sentence
        for wrong, sentence in (
            (hops != 0, f"hops is {hops} though no relay is between"),
            (any(gi), "giaddr is set though no relay is between"),
            (any(yi) or any(si), "yiaddr or siaddr is set by a client"),
            (flags & 0x7FFF, "a reserved flag is set"),
            (any(ch[6:]), "chaddr has more than six bytes"),
            (any(sname) or any(file), "sname or file is set by a client"),
            (not any(ch[:6]), "chaddr is empty"),
        )
        if wrong
    ]
    complaints += _break_of_kind(message)
    return Message(
        kind, xid, flags, message.client_address, gi, ch[:6],
        options=options, complaints=tuple(complaints),
    )  # fmt: skip


def render_reply(lease: Lease, message: Message, kind: int) -> bytes:
    """An OFFER, ACK or NAK, with the options that were asked for, or all if none were."""
    address = bytes(4) if kind == NAK or message.kind == INFORM else _packed(lease.address)
    fixed = _FIXED.pack(
        2, 1, 6, 0, message.transaction, 0, message.flags & 0x8000,
        _packed(message.client_address), address, _packed(lease.server), message.relay,
        message.mac + bytes(10), lease.server_name.encode(), b"",
    )  # fmt: skip
    always = [(TYPE, bytes((kind,))), (SERVER, _packed(lease.server))]
    if kind == NAK:
        return fixed + COOKIE + _render_options(always)
    asked = message.options.get(PARAMETERS)
    extras = [
        (code, data)
        for code, data in _offered(lease)
        if asked is None or code in asked or code in (WIRE_SERVER, MASK)
    ]
    times = [] if message.kind == INFORM else _times(lease.lease_s)
    return fixed + COOKIE + _render_options([*always, *extras, *times])


def render_routes(routes: Iterable[HostRoute]) -> bytes:
    """Classless routes as options 121 and 249 have them."""
    parts = []
    for route in routes:
        network = ipaddress.IPv4Network(route.network)
        significant = network.network_address.packed[: (network.prefixlen + 7) // 8]
        parts.append(bytes((network.prefixlen,)) + significant + _packed(route.gateway))
    return b"".join(parts)


def _parse_options(data: bytes, complaints: list[str]) -> dict[int, bytes]:
    options: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        code = data[at]
        if code == END:
            if any(data[at + 1 :]):
                complaints.append("something follows the end option")
            return options
        if code == PAD:
            at += 1
            continue
        length = data[at + 1] if at + 1 < len(data) else 0
        value = data[at + 2 : at + 2 + length]
        if at + 1 >= len(data) or len(value) < length:
            raise BadMessage(f"option {code} runs past the end of the message")
        if length != _LENGTHS.get(code, length):
            raise BadMessage(f"option {code} has {length} bytes, not {_LENGTHS[code]}")
        options[code] = options.get(code, b"") + value
        at += 2 + length
    raise BadMessage("the end option is missing")


def _break_of_kind(message: Message) -> list[str]:
    """What RFC 2131, table 5, does not allow in this kind of message."""
    has_address = message.client_address != "0.0.0.0"
    requested, server = REQUESTED_IP in message.options, SERVER in message.options
    rules = {
        DISCOVER: ((has_address, "has a ciaddr"), (server, "has a server identifier")),
        REQUEST: (
            (has_address and requested, "has a ciaddr and a requested address"),
            (not has_address and not requested, "asks for no address"),
            (server and not requested, "answers an offer without the address that was offered"),
        ),
        INFORM: ((not has_address, "has no ciaddr"), (requested, "requests an address")),
        DECLINE: ((not requested, "declines no address"), (has_address, "has a ciaddr")),
        RELEASE: ((not has_address, "has no ciaddr"), (not server, "names no server")),
    }
    return [f"a {message.name} that {text}" for wrong, text in rules[message.kind] if wrong]


def _offered(lease: Lease) -> list[tuple[int, bytes]]:
    """In the order of a real fabric's answer."""
    routes = render_routes(lease.routes)
    # RFC 3442: who uses option 121 ignores option 3, so the default route is in it too.
    everything = render_routes((HostRoute("0.0.0.0/0", lease.router),)) if lease.router else b""
    candidates = (
        (DNS, _packed(lease.name_server) if lease.name_server else b""),
        (WIRE_SERVER, _packed(lease.wire_server) if lease.wire_server else b""),
        (DOMAIN, (lease.domain or "").encode()),
        (MASK, ipaddress.IPv4Network(f"0.0.0.0/{lease.prefix}").netmask.packed),
        (ROUTER, _packed(lease.router) if lease.router else b""),
        (ROUTES, everything + routes if routes else b""),
        (PRIVATE_ROUTES, routes),
    )
    return [(code, data) for code, data in candidates if data]


def _times(lease_s: int) -> list[tuple[int, bytes]]:
    renewal = FOREVER if lease_s == FOREVER else lease_s // 2
    rebinding = FOREVER if lease_s == FOREVER else lease_s * 7 // 8
    pairs = ((RENEWAL, renewal), (REBINDING, rebinding), (LEASE_TIME, lease_s))
    return [(code, struct.pack("!I", value)) for code, value in pairs]


def _render_options(options: Iterable[tuple[int, bytes]]) -> bytes:
    return b"".join(bytes((code, len(data))) + data for code, data in options) + bytes((END,))


def _packed(address: str) -> bytes:
    return ipaddress.IPv4Address(address).packed
