"""What DHCP clients wrote down about the wire server: lease text to address, no file is opened.

Only option 245 counts. A name server is never taken for the wire server, as older agents did.
Source: spec DAEMON 6.3.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Optional

log = logging.getLogger(__name__)

MAGIC = b"\x63\x82\x53\x63"
OPTIONS_START = 236
LEASE_TIME, ENDPOINT = 51, 245
PAD, END = 0, 255
FOREVER = 0xFFFFFFFF

_DHCLIENT_OPTION = re.compile(
    r'option\s+(?:unknown|option|private)-245\s+("(?:\\.|[^"\\])*"|[^";]+);'
)
_BLOCK = re.compile(r"lease\s*\{")
_ESCAPE = re.compile(r"\\([0-7]{3}|.)")
_ASSIGNMENT = re.compile(r"(?:\w*?[^0-9])?245=['\"]?([0-9A-Fa-f:]+)['\"]?")
_XML = re.compile(
    r"<(?:unknown|option|private)-245>\s*([0-9A-Fa-f:]+)\s*<"
    r"|<code>\s*245\s*</code>\s*<data>\s*([0-9A-Fa-f:]+)\s*<"
)
_EXPIRY = re.compile(r"expire\s+(?:(\d\s+)?(never)|\d\s+(\d+/\d+/\d+\s+\d+:\d+:\d+)|epoch\s+(\d+))")


def parse_dhclient(text: str, now: datetime) -> Optional[str]:
    """The wire server of the last lease that has one and has not expired."""
    found = None
    endpoint: Optional[str] = None
    expired, inside = True, False
    for raw in text.splitlines():
        line = raw.strip()
        if _BLOCK.match(line):
            endpoint, expired, inside = None, True, True
        elif line.startswith("}"):
            if endpoint is not None and not expired:
                found = endpoint
            endpoint, expired, inside = None, True, False
        elif line.startswith("expire"):
            expired = _is_expired(line, now)
        else:
            match = _DHCLIENT_OPTION.match(line)
            if match and inside:
                endpoint = server_address(_dhclient_bytes(match[1].strip()))
    return found


def parse_assignments(text: str) -> Optional[str]:
    """The wire server of a lease of networkd, NetworkManager or wicked: ``OPTION_245=a83f8110``.

    Or of wicked's XML. Their files are there only while the lease is valid.
    """
    found = None
    for line in text.splitlines():
        match = _ASSIGNMENT.fullmatch(line.strip())
        if match:
            found = _digits_address(match[1]) or found
    for match in _XML.finditer(text):
        found = _digits_address(match[1] or match[2]) or found
    return found


def parse_packet(data: bytes, age_s: float = 0.0) -> Optional[str]:
    """The wire server of a lease that is a DHCP packet, as dhcpcd keeps them.

    Such a lease begins when its file is written: ``age_s`` ago.
    """
    endpoint, lease_s = None, float(FOREVER)
    for code, value in packet_options(data):
        if code == ENDPOINT:
            endpoint = server_address(value)
        elif code == LEASE_TIME and len(value) == 4:
            lease_s = int.from_bytes(value, "big")
    if lease_s != FOREVER and age_s >= lease_s:
        return None
    return endpoint


def packet_options(packet: bytes) -> Iterator[tuple[int, bytes]]:
    """The options of a DHCP packet, until its end or what is broken; none of what is no such."""
    if packet[OPTIONS_START : OPTIONS_START + 4] != MAGIC:
        return
    position = OPTIONS_START + 4
    while position < len(packet) and packet[position] != END:
        if packet[position] == PAD:
            position += 1
            continue
        length = packet[position + 1] if position + 1 < len(packet) else len(packet)
        end = position + 2 + length
        if end > len(packet):
            return
        yield packet[position], packet[position + 2 : end]
        position = end


def server_address(value: bytes) -> Optional[str]:
    """Four bytes as a dotted address; ``None``, with a line in the log, for what no server has."""
    if len(value) == 4:
        address = ipaddress.IPv4Address(value)
        if not (
            value[0] == 0 or address.is_multicast or address.is_reserved or address.is_loopback
        ):
            return str(address)
    log.info(
        "DHCP option 245 is not used: 0x%s%s is no address of a server",
        value[:8].hex(),
        "..." if len(value) > 8 else "",
    )
    return None


def _dhclient_bytes(text: str) -> bytes:
    """A value as dhclient writes it: a string where all its bytes can be printed, else hex."""
    if text.startswith('"'):
        plain = _ESCAPE.sub(lambda m: chr(int(m[1], 8)) if len(m[1]) == 3 else m[1], text[1:-1])
        return plain.encode("latin-1", "ignore")
    # Each byte has as few digits as it needs.
    return _from_hex("".join(part.zfill(2) for part in re.split(r"[:\s]+", text)))


def _digits_address(digits: str) -> Optional[str]:
    return server_address(_from_hex(digits.replace(":", ""))[:4])


def _from_hex(digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""


def _is_expired(line: str, now: datetime) -> bool:
    match = _EXPIRY.match(line)
    if match is None:
        log.info("could not parse expiry token '%s'", line[:80])
        return True
    if match[2]:
        return False
    if match[4]:
        return int(match[4][:20]) <= now.timestamp()
    try:
        text = " ".join(match[3].split()) + " +0000"
        return datetime.strptime(text, "%Y/%m/%d %H:%M:%S %z") <= now
    except ValueError:
        return True
