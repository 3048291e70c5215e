"""What DHCP clients wrote down about the wire server: lease text to address, pure.

Only option 245 counts. A name server is never taken for the wire server, as older agents did.
Source: spec DAEMON 6.3.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import datetime
from typing import Optional

MAGIC = b"\x63\x82\x53\x63"
OPTIONS_START = 236
ENDPOINT = 245
PAD, END = 0, 255

_DHCLIENT_OPTION = re.compile(r"option\s+(?:unknown|option|private)-245\s+([^;]+);")
_ASSIGNMENT = re.compile(r"(?:\w*?[^0-9])?245=['\"]?([0-9A-Fa-f:]+)['\"]?")
_EXPIRY = re.compile(r"expire\s+(?:never|\d\s+(\d+/\d+/\d+\s+\d+:\d+:\d+)|epoch\s+(\d+))")


def parse_dhclient(text: str, now: datetime) -> Optional[str]:
    """The wire server of the last lease that has one and has not expired."""
    found = None
    endpoint: Optional[str] = None
    expired = True
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("lease"):
            endpoint, expired = None, True
        elif line.startswith("}"):
            if endpoint is not None and not expired:
                found = endpoint
            endpoint, expired = None, True
        elif line.startswith("expire"):
            expired = _is_expired(line, now)
        else:
            match = _DHCLIENT_OPTION.match(line)
            if match:
                # dhclient writes each byte in as few digits as it needs.
                parts = re.split(r"[:\s]+", match[1].strip())
                endpoint = _address("".join(part.zfill(2) for part in parts))
    return found


def parse_assignments(text: str) -> Optional[str]:
    """The wire server of a lease of networkd, NetworkManager or wicked: ``OPTION_245=a83f8110``.

    Their files are there only while the lease is valid.
    """
    found = None
    for line in text.splitlines():
        match = _ASSIGNMENT.fullmatch(line.strip())
        if match:
            found = _address(match[1].replace(":", "")[:8]) or found
    return found


def parse_packet(data: bytes) -> Optional[str]:
    """The wire server of a lease that is a DHCP packet, as dhcpcd keeps them."""
    if data[OPTIONS_START : OPTIONS_START + 4] != MAGIC:
        return None
    position = OPTIONS_START + 4
    while position < len(data):
        code = data[position]
        if code == END:
            return None
        if code == PAD:
            position += 1
            continue
        if position + 2 > len(data):
            return None
        length = data[position + 1]
        value = data[position + 2 : position + 2 + length]
        if code == ENDPOINT:
            return _address(value.hex()) if len(value) == 4 else None
        position += 2 + length
    return None


def _is_expired(line: str, now: datetime) -> bool:
    match = _EXPIRY.match(line)
    if match is None:
        return True
    if match[2]:
        return int(match[2]) <= now.timestamp()
    if not match[1]:
        return "never" not in line
    try:
        text = " ".join(match[1].split()) + " +0000"
        return datetime.strptime(text, "%Y/%m/%d %H:%M:%S %z") <= now
    except ValueError:
        return True


def _address(digits: str) -> Optional[str]:
    """A dotted address of four bytes in hex; ``None`` for what no server can have."""
    if not re.fullmatch(r"[0-9A-Fa-f]{8}", digits):
        return None
    address = ipaddress.IPv4Address(int(digits, 16))
    if address.is_unspecified or address.is_multicast or address == _BROADCAST:
        return None
    return str(address)


_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
