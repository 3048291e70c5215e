"""What RDMA set-up reads and edits, as pure functions of text and bytes (spec DAEMON 9).

Not the fabric's SharedConfig, which is among the documents.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Optional

from waagent.core.errors import DocumentError
from waagent.core.records import dataclass

KEY_BYTES = 512
VALUE_BYTES = 2048
MAX_PAIRS = 256

_MAC = re.compile(r"[0-9a-f]{12}")
_PAIRS = re.compile(r"NUMPAIRS:([0-9]{1,6})((?:\|[^|]*)*)")
_MODULE_VERSION = re.compile(r"^version:\s+([0-9]{1,6})\.([0-9]{1,6})\.[0-9]", re.MULTILINE)
_PROVIDER = re.compile(
    r"^(\s*ofa-v2-ib0 u2\.0 nonthreadsafe default libdaplofa\.so\.2 dapl\.2\.0\s+)\"[^\"\n]*\"",
    re.MULTILINE,
)


@dataclass(frozen=True)
class DeviceAddress:
    """The address that belongs to the device with that MAC: 12 lower-case digits."""

    mac: str
    ipv4: str


def parse_kvp_pool(data: bytes) -> Mapping[str, str]:
    """A pool of the host's key-value exchange; a record that was cut short is left out."""
    size = KEY_BYTES + VALUE_BYTES
    found = {}
    for start in range(0, len(data) - size + 1, size):
        key = _until_nul(data[start : start + KEY_BYTES])
        if key:
            found[key] = _until_nul(data[start + KEY_BYTES : start + size])
    return found


def parse_ipoib_data(text: str) -> tuple[DeviceAddress, ...]:
    """The addresses in ``NUMPAIRS:{n}|{MAC}:{IP}|...``; ``DocumentError`` unless all n are there.

    A MAC may have its colons.
    """
    match = _PAIRS.fullmatch(text.strip())
    if match is None:
        raise DocumentError('cannot read "IPoIB_Data": it does not begin with its number of pairs')
    pairs = [part.strip() for part in match[2].split("|") if part.strip()]
    if len(pairs) != int(match[1]) or len(pairs) > MAX_PAIRS:
        raise DocumentError(
            f'cannot read "IPoIB_Data": {len(pairs)} pairs, but {match[1]} are announced'
            f" and {MAX_PAIRS} allowed"
        )
    return tuple(_parse_pair(pair) for pair in pairs)


def parse_module_version(text: str) -> Optional[tuple[int, int]]:
    """Major and minor number of what modinfo(8) prints; ``None`` if it tells none."""
    match = _MODULE_VERSION.search(text)
    return (int(match[1]), int(match[2])) if match else None


def mac_of_hardware(address: str, *, is_infiniband: bool) -> str:
    """The 12 digits to compare: all of an Ethernet address; of InfiniBand's 20 bytes six.

    Those are the first three and last three of the last eight: a MAC that was stretched to 64 bits.
    """
    octets = [octet for octet in address.strip().lower().split(":") if octet]
    if is_infiniband:
        last = octets[-8:]
        octets = [*last[:3], *last[-3:]]
    return "".join(octets)


def edit_dat_conf(text: str, ipv4: str) -> str:
    """dat.conf with the address in the provider for ``ib0``; unchanged where there is none."""
    return _PROVIDER.sub(lambda match: f'{match[1]}"{ipv4} 0"', text)


def edit_alias(text: str, name: str, target: str) -> str:
    """A file of modprobe.d in which ``name`` stands for the module ``target``."""
    kept = [line for line in text.splitlines() if line.split()[:2] != ["alias", name]]
    return "\n".join([*kept, f"alias {name} {target}"]) + "\n"


def render_device_command(mac: str, ipv4: str) -> str:
    """What /dev/hvnd_rdma wants to be told."""
    return f'rdmaMacAddress="{mac}" rdmaIPv4Address="{ipv4}"'


def _parse_pair(pair: str) -> DeviceAddress:
    mac, _, address = pair.rpartition(":")
    mac = mac.strip().lower().replace(":", "").replace("-", "")
    try:
        ipv4 = str(ipaddress.IPv4Address(address.strip()))
    except ValueError:
        raise DocumentError('cannot read "IPoIB_Data": a pair has no IPv4 address') from None
    if not _MAC.fullmatch(mac):
        raise DocumentError('cannot read "IPoIB_Data": a pair has no MAC')
    return DeviceAddress(mac, ipv4)


def _until_nul(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("utf-8", "backslashreplace").strip()
