"""Raw use of sockets, for what is no HTTP; DHCP has a file of its own."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping

NOTIFY_S = 1.0


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


def set_kernel_hostname(name: str) -> None:
    """Give the kernel another name by sethostname(2); raises ``OSError`` if it refuses."""
    socket.sethostname(name)


def process_id() -> int:
    """Our own process id."""
    return os.getpid()


def ipv4_from_hex(text: str) -> str:
    """``10813FA8`` as the kernel's route table has it, to ``168.63.129.16``."""
    return socket.inet_ntoa(struct.pack("<I", int(text, 16)))
