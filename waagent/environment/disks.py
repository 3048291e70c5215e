"""How long the kernel waits for a SCSI disk: Azure's storage may pause for longer than usual.

Despite the key's name it is set for every ``sd`` disk (spec DAEMON 3.1).
"""

from __future__ import annotations

import logging
from pathlib import Path

from waagent.core import files
from waagent.core.errors import GuestError
from waagent.core.system import System

log = logging.getLogger(__name__)

FOLDER = "/sys/block"
LARGEST = 4096  # sysfs has no larger files


def set_disk_timeouts(system: System, timeout: str) -> None:
    """Have each disk wait that many seconds; one that cannot be told does not hold up the others.

    A disk without a time-out, or one that has just gone away, is none of ours.
    """
    folder = system.path(FOLDER)
    names = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
    problems = []
    for name in names:
        if name.startswith("sd"):
            try:
                _set(system.path(f"{FOLDER}/{name}/device/timeout"), name, timeout)
            except FileNotFoundError:
                continue
            except (OSError, GuestError) as error:
                problems.append(str(error))
    if problems:
        raise GuestError(f"cannot set the time-out of every disk: {'; '.join(problems)}")


def _set(path: Path, disk: str, timeout: str) -> None:
    if _is(path, timeout):
        return
    with path.open("w", encoding="ascii") as stream:
        stream.write(timeout)
    if not _is(path, timeout):
        raise GuestError(f"the kernel does not take {timeout} seconds for {disk}")
    log.info("Set block dev timeout: %s with timeout: %s", disk, timeout)


def _is(path: Path, timeout: str) -> bool:
    """Whether it is that number, however it is written."""
    lines = files.read_text(path, limit=LARGEST).splitlines()
    said = lines[0].strip() if lines else ""
    return said.isdecimal() and int(said) == int(timeout)
