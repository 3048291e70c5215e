"""The "provisioned" file: its existence says that a machine is set up, its content which one.

So do the files beside it that say what is done already: an image that was captured with them is
another machine. Source: spec DAEMON 5.3.
"""

from __future__ import annotations

import enum
from pathlib import Path

from waagent.core import files
from waagent.core.context import Context
from waagent.guest import identity


class Standing(enum.Enum):
    """What the file says of this machine."""

    NEW = "not provisioned yet"
    SAME = "provisioned"
    UNREPORTED = "provisioned, but the fabric has not accepted Ready yet"
    MOVED = "provisioned with another VM id"
    UNNAMED = "provisioned with an empty VM id, or one that cannot be read"


def read_standing(context: Context) -> Standing:
    """Compare the file with the id of the machine we are on."""
    paths = context.paths
    stored = files.read_if_there(paths.provisioned)
    if stored is None:
        # A disk that fails for a moment must not have a machine set up anew, with other host keys.
        return Standing.UNNAMED if paths.provisioned.is_file() else Standing.NEW
    if identity.is_same_vm(stored, identity.read_vm_id(context.system)):
        return Standing.SAME if is_done(context, paths.ready_reported) else Standing.UNREPORTED
    return Standing.MOVED if stored.strip() else Standing.UNNAMED


def write_marker(context: Context) -> None:
    """This machine is provisioned: its VM id, without a newline."""
    note_done(context, context.paths.provisioned)


def note_done(context: Context, path: Path) -> None:
    """Remember in that file that something is done on this very machine."""
    files.write(path, identity.read_vm_id(context.system))


def is_done(context: Context, path: Path) -> bool:
    """Whether that was noted on this very machine, or on one whose id nobody could tell."""
    stored = files.read_if_there(path)
    if stored is None:
        return False
    return not stored.strip() or identity.is_same_vm(stored, identity.read_vm_id(context.system))
