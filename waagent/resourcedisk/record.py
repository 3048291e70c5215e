"""What we formatted, remembered in the lib dir: so that an interrupted format is taken up again.

It names the disk by the number in its table: on another disk it means nothing.
"""

from __future__ import annotations

import json
import logging
from typing import Optional

from waagent.core import files
from waagent.core.context import Context
from waagent.core.errors import GuestError
from waagent.core.records import dataclass

log = logging.getLogger(__name__)

NAME = "resource_disk.json"
LARGEST = 4096


@dataclass(frozen=True)
class Record:
    """The disk's number, and the file system that we made; ``None``: we had not finished."""

    table: str
    filesystem: Optional[str]


def parse_record(text: str) -> Optional[Record]:
    """The record, or ``None`` for anything else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    table, filesystem = found.get("table"), found.get("filesystem")
    if not isinstance(table, str) or not table:
        return None
    return Record(table, filesystem if isinstance(filesystem, str) and filesystem else None)


def read_record(context: Context) -> Optional[Record]:
    """What was remembered, if it can be read."""
    return parse_record(files.read_if_there(context.paths.lib / NAME, limit=LARGEST) or "")


def write_record(context: Context, record: Record) -> None:
    """Remember; a lib dir that takes nothing costs us the taking-up only."""
    content = json.dumps({"table": record.table, "filesystem": record.filesystem}) + "\n"
    try:
        files.write(context.paths.lib / NAME, content)
    except (OSError, GuestError) as error:
        log.warning("Cannot remember what is done to the resource disk: %s", error)
