"""The VM's id: the firmware's UUID in the byte order in which Azure writes it (DAEMON 5.3)."""

from __future__ import annotations

import re

from waagent.core import files
from waagent.core.system import System

PRODUCT_UUID = "/sys/class/dmi/id/product_uuid"
LIMIT = 4096
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def read_vm_id(system: System) -> str:
    """The id as the metadata service gives it; empty when the firmware does not tell one."""
    text = files.read_if_there(system.path(PRODUCT_UUID), limit=LIMIT)
    if text is None:
        text = _ask_dmidecode(system)
    return swap_bytes(text.strip())


def is_same_vm(stored: str, current: str) -> bool:
    """Whether a stored id, in either byte order and any case, is the current one."""
    mine = current.strip().upper()
    return mine in (stored.strip().upper(), swap_bytes(stored.strip()).upper())


def swap_bytes(text: str) -> str:
    """The text with the bytes of the first three groups reversed, if it is a UUID.

    SMBIOS keeps them little-endian, Azure writes them big-endian.
    """
    if not _UUID.fullmatch(text):
        return text
    groups = text.split("-")
    return "-".join([*(_reversed(group) for group in groups[:3]), *groups[3:]])


def _reversed(group: str) -> str:
    return "".join(group[index : index + 2] for index in range(len(group) - 2, -2, -2))


def _ask_dmidecode(system: System) -> str:
    if not system.has_command("dmidecode"):
        return ""
    result = system.run("dmidecode", "--string", "system-uuid")
    text = result.stdout.strip()
    return text if result.ok and _UUID.fullmatch(text) else ""
