"""SharedConfig: of it the agent reads the RDMA address of this machine only (spec DAEMON 9)."""

from __future__ import annotations

import ipaddress
import re
from typing import Optional

from waagent.core import xml
from waagent.core.records import dataclass

_MAC = re.compile(r"[0-9A-Fa-f]{12}")


@dataclass(frozen=True)
class SharedConfig:
    """``None`` where the fabric gave this machine no such address. The MAC has colons."""

    rdma_ipv4: Optional[str]
    rdma_mac: Optional[str]


def parse_shared_config(data: bytes) -> SharedConfig:
    """The shared config; an address that is none is a ``DocumentError``: commands are made of it.

    The first instance is this machine (WIRE 3.6).
    """
    document = xml.parse(data, "SharedConfig", "SharedConfig")
    instance = document.find("Instance")
    address = instance.attr("rdmaIPv4Address") if instance is not None else None
    mac = instance.attr("rdmaMacAddress") if instance is not None else None
    if address:
        try:
            ipaddress.IPv4Address(address)
        except ValueError:
            raise document.error('"rdmaIPv4Address" is no IPv4 address') from None
    if mac and not _MAC.fullmatch(mac):
        raise document.error('"rdmaMacAddress" is not 12 hexadecimal digits')
    return SharedConfig(address or None, with_colons(mac) if mac else None)


def with_colons(mac: str) -> str:
    """12 hexadecimal digits as ``00:0d:3a:...``."""
    return ":".join(mac[index : index + 2] for index in range(0, len(mac), 2))
