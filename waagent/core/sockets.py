"""Raw use of sockets, for what is no HTTP: service notification and DHCP broadcasts."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Mapping
from typing import Optional

from waagent.core.clock import Clock

DHCP_CLIENT = 68
DHCP_SERVER = 67
MAX_DATAGRAM = 4096
NOTIFY_S = 1.0
SO_BINDTODEVICE = 25


def notify_service_manager(environment: Mapping[str, str], state: str) -> bool:
    """Tell systemd ``READY=1``, ``STATUS=...`` or ``WATCHDOG=1``; whether there was anyone to tell.

    Source: sd_notify(3).
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.settimeout(NOTIFY_S)  # a service manager that hangs must not hang us
        try:
            channel.sendto(state.encode(), address)
        except OSError:
            return False
    return True


def kernel_hostname() -> str:
    """The name that the kernel has for this machine."""
    return socket.gethostname()


def exchange_dhcp(
    packet: bytes, transaction: bytes, *, device: Optional[str], timeout_s: float, clock: Clock
) -> Optional[bytes]:
    """Broadcast a DHCP packet from port 68; the first reply of that transaction, or ``None``.

    Replies of other transactions are skipped. Raises ``OSError`` when the socket cannot be had.
    Source: RFC 2131 4.1; spec DAEMON 6.5.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if device:
            channel.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, device.encode() + b"\0")
        channel.bind(("0.0.0.0", DHCP_CLIENT))
        channel.sendto(packet, ("255.255.255.255", DHCP_SERVER))
        deadline = clock.monotonic() + timeout_s
        while True:
            remaining = deadline - clock.monotonic()
            if remaining <= 0:
                return None
            channel.settimeout(remaining)
            with contextlib.suppress(socket.timeout, TimeoutError):
                reply = channel.recv(MAX_DATAGRAM)
                if reply[4:8] == transaction:
                    return reply


def process_id() -> int:
    """Our own process id."""
    return os.getpid()


def ipv4_from_hex(text: str) -> str:
    """``10813FA8`` as the kernel's route table has it, to ``168.63.129.16``."""
    return socket.inet_ntoa(struct.pack("<I", int(text, 16)))
