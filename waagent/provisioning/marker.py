"""The "provisioned" file: its existence says that a machine is set up, its content which one.

Source: spec DAEMON 5.3.
"""

from __future__ import annotations

import enum
import logging

from waagent.core import files
from waagent.core.context import Context
from waagent.guest import identity

log = logging.getLogger(__name__)


class Standing(enum.Enum):
    """What the file says of this machine."""

    NEW = "never provisioned"
    SAME = "provisioned"
    UNREPORTED = "provisioned, but the fabric has not accepted Ready yet"
    MOVED = "provisioned with another VM id"
    UNNAMED = "provisioned with an empty VM id"


def read_standing(context: Context) -> Standing:
    """Compare the file with the id of the machine we are on."""
    paths = context.paths
    stored = files.read_if_there(paths.provisioned)
    if stored is None:
        return Standing.NEW
    if identity.is_same_vm(stored, identity.read_vm_id(context.system)):
        return Standing.SAME if paths.ready_reported.exists() else Standing.UNREPORTED
    return Standing.MOVED if stored.strip() else Standing.UNNAMED


def write_marker(context: Context) -> None:
    """This machine is provisioned: its VM id, without a newline."""
    files.write(context.paths.provisioned, identity.read_vm_id(context.system))
