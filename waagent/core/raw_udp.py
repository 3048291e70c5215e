"""A DHCP exchange beside a DHCP client that runs: a raw socket takes no port from it.

What a raw socket receives is a copy; the client gets its own, and drops what it did not ask for.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Optional

from waagent.core.clock import Clock

DHCP_CLIENT, DHCP_SERVER = 68, 67
SO_BINDTODEVICE = 25
IP_PKTINFO = 8
UDP_HEADER = 8
LARGEST_PACKET = 4096


def exchange_beside_client(
    packet: bytes, *, device: str, source: str, server: str, timeout_s: float, clock: Clock
) -> Optional[bytes]:
    """Send a DHCP packet from port 68 of an address that we have; its answer, or ``None``.

    Raises ``OSError`` when the socket cannot be had. Source: RFC 768; RFC 2131 4.1, 4.4.5.
    """
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_INET, kind, socket.IPPROTO_UDP) as channel:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        channel.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, device.encode() + b"\0")
        # Not bound to the address: a server that refuses may say so to everyone.
        sender = (socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=I4s4x", 0, socket.inet_aton(source)))
        channel.sendmsg([render_datagram(packet, source, server)], [sender], 0, (server, 0))
        deadline = clock.monotonic() + timeout_s
        while True:
            remaining = deadline - clock.monotonic()
            if remaining <= 0:
                return None
            channel.settimeout(remaining)
            with contextlib.suppress(socket.timeout, TimeoutError):
                payload = parse_datagram(channel.recv(LARGEST_PACKET))
                if payload is not None and payload[4:8] == packet[4:8]:
                    return payload


def render_datagram(payload: bytes, source: str, destination: str) -> bytes:
    """A datagram from the DHCP client's port to the server's, with its checksum."""
    length = UDP_HEADER + len(payload)
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    pseudo = addresses + struct.pack("!BBH", 0, socket.IPPROTO_UDP, length)
    ports = struct.pack("!HHH", DHCP_CLIENT, DHCP_SERVER, length)
    total = checksum(pseudo + ports + b"\0\0" + payload)
    return ports + struct.pack("!H", total) + payload


def parse_datagram(data: bytes) -> Optional[bytes]:
    """What a DHCP server says in an IPv4 packet to the client's port; ``None`` for others."""
    start = (data[0] & 0x0F) * 4 if data else 0
    if start < 20 or len(data) < start + UDP_HEADER:
        return None
    source, destination = struct.unpack("!HH", data[start : start + 4])
    if (source, destination) != (DHCP_SERVER, DHCP_CLIENT):
        return None
    return data[start + UDP_HEADER :]


def checksum(data: bytes) -> int:
    """The ones' complement sum; a sum of zero is sent as all ones (RFC 768, RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF) or 0xFFFF
