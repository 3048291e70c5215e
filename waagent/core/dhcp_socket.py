"""DHCP datagrams on one interface, whatever addresses, routes, firewall or client the guest has.

A packet socket hears what the kernel would drop: an answer to an address that nobody has yet, or
one that a firewall refuses. It takes no port from the guest's DHCP client. Where there are no
packet sockets a UDP socket does, as far as the guest lets it. Source: RFC 2131 4.1; DAEMON 6.5.
"""

from __future__ import annotations

import array
import contextlib
import logging
import socket
import struct
from typing import Optional

from waagent.core.raw_udp import (
    DHCP_CLIENT,
    DHCP_SERVER,
    SO_BINDTODEVICE,
    checksum,
    render_datagram,
)

log = logging.getLogger(__name__)

CLIENT, SERVER = DHCP_CLIENT, DHCP_SERVER
MAX_DATAGRAM = 4096

_ETH_P_IP = 0x0800
_SO_ATTACH_FILTER = 26
_UDP = 17
_BROADCAST = "255.255.255.255"
_EVERYONE = b"\xff" * 6
# Let the kernel pass on only UDP to port 68 that is no later fragment: the link may be busy.
_FILTER = (
    (0x30, 0, 0, 9),  # the protocol
    (0x15, 0, 6, _UDP),
    (0x28, 0, 0, 6),  # flags and offset of a fragment
    (0x45, 4, 0, 0x1FFF),
    (0xB1, 0, 0, 0),  # where the header ends
    (0x48, 0, 0, 2),  # the port behind it
    (0x15, 0, 1, CLIENT),
    (0x06, 0, 0, MAX_DATAGRAM),
    (0x06, 0, 0, 0),
)


class DhcpSocket:
    """Sends to and hears from the DHCP servers behind one interface; never waits."""

    def __init__(self, device: str, channel: socket.socket, *, is_packet: bool) -> None:
        self._device = device
        self._channel = channel
        self._is_packet = is_packet
        channel.setblocking(False)

    def send(self, message: bytes) -> None:
        """Broadcast it; ``OSError`` where the interface is down or gone."""
        if self._is_packet:
            target = (self._device, _ETH_P_IP, 0, 1, _EVERYONE)
            self._channel.sendto(wrap(message), target)
        else:
            self._channel.sendto(message, (_BROADCAST, SERVER))

    def receive(self) -> Optional[bytes]:
        """A datagram that has come, empty if it was no DHCP; ``None`` when there is no more."""
        try:
            data = self._channel.recv(MAX_DATAGRAM)
        except BlockingIOError:
            return None
        return unwrap(data) if self._is_packet else data

    def fileno(self) -> int:
        """A descriptor that is readable when something has come."""
        return self._channel.fileno()

    def close(self) -> None:
        """Give the socket back."""
        self._channel.close()


def open_dhcp_socket(device: str) -> DhcpSocket:
    """A packet socket, or a UDP socket where there are none; ``OSError`` when neither can be had.

    The guest's DHCP client goes on beside it.
    """
    try:
        return open_packet_socket(device)
    except OSError as error:
        log.info("Cannot use a packet socket on %s, trying port %d: %s", device, CLIENT, error)
        return open_udp_socket(device)


def open_packet_socket(device: str) -> DhcpSocket:
    """Below IP: no address, no route, no hole in a firewall is needed."""
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
    with contextlib.ExitStack() as undo:
        channel = undo.enter_context(socket.socket(socket.AF_PACKET, kind, 0))
        code = array.array("B", b"".join(struct.pack("@HBBI", *step) for step in _FILTER))
        program = struct.pack("@HP", len(_FILTER), code.buffer_info()[0])
        channel.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        channel.bind((device, _ETH_P_IP))
        undo.pop_all()
    return DhcpSocket(device, channel, is_packet=True)


def open_udp_socket(device: str) -> DhcpSocket:
    """Port 68 of the interface, shared with others who share it."""
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
    with contextlib.ExitStack() as undo:
        channel = undo.enter_context(socket.socket(socket.AF_INET, kind))
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        channel.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, device.encode() + b"\0")
        channel.bind(("0.0.0.0", CLIENT))
        undo.pop_all()
    return DhcpSocket(device, channel, is_packet=False)


def wrap(message: bytes) -> bytes:
    """The message with the headers of IP and UDP before it, from nobody to everybody."""
    udp = render_datagram(message, "0.0.0.0", _BROADCAST)
    addresses = bytes(4) + _EVERYONE[:4]
    head = struct.pack("!BBHHHBBH", 0x45, 0x10, 20 + len(udp), 0, 0, 64, _UDP, 0) + addresses
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + udp


def unwrap(packet: bytes) -> bytes:
    """What a server sent, without its headers; empty for what is no whole DHCP datagram.

    The checksum is not looked at: on a virtual link the sender leaves it to hardware.
    """
    if len(packet) < 28 or packet[0] >> 4 != 4 or packet[9] != _UDP:
        return b""
    start = (packet[0] & 0xF) * 4
    if start < 20 or len(packet) < start + 8:
        return b""
    source, target, length = struct.unpack_from("!HHH", packet, start)
    end = start + length
    if (source, target) != (SERVER, CLIENT) or length < 8 or end > len(packet):
        return b""
    return packet[start + 8 : end]
