"""Is this a guest of System Center VMM? Then its own installer takes over (spec DAEMON 1.6).

Off unless ``DetectScvmmEnv=y``.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from waagent.core import files
from waagent.core.commands import Spawn
from waagent.core.context import Context
from waagent.core.errors import AgentError, describe
from waagent.core.system import System
from waagent.guest import media

log = logging.getLogger(__name__)

MARK = "linuxosconfiguration.xml"
INSTALLER = "install"
DRIVER = "ata_piix"
MODULES = "/proc/modules"
TIMEOUT_S = 60.0
_DRIVES = re.compile(r"(sr\d|hd[c-z]|cdrom\d?|cd\d+)")


def hand_over(context: Context) -> bool:
    """Look for VMM's media in every drive and start its installer; whether that was done.

    The media stays mounted then: the installer lies on it.
    """
    log.info("Detecting Microsoft System Center VMM Environment")
    system = context.system
    _ensure_driver(system)
    for drive in _drives(system):
        folder = _find_marked(context, drive)
        if folder is not None:
            log.info("Starting Microsoft System Center VMM Initialization Process")
            name = system.within(folder)
            with system.path("/dev/null").open("wb") as nowhere:
                command = ("/bin/bash", f"{name}/{INSTALLER}", f"-p {name}")  # one argument
                system.start(Spawn(command, stdout=nowhere, stderr=nowhere))
            return True
    return False


def _drives(system: System) -> Iterator[Path]:
    folder = system.path("/dev")
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    for name in names:
        if _DRIVES.fullmatch(name):
            yield folder / name


def _find_marked(context: Context, drive: Path) -> Optional[Path]:
    """Where VMM's media is mounted, if it is that; any other that we mounted is let go again."""
    system = context.system
    there = media.find_mount_point(system, drive)
    if there is not None:
        return there if (there / MARK).is_file() else None
    folder = context.paths.dvd
    try:
        files.ensure_directory(folder)
        kinds = ("-t", media.FILE_SYSTEMS)
        name = system.within(folder)
        mount = ("mount", "-o", "ro", *kinds, system.within(drive), name)
        if not system.run(*mount, timeout_s=TIMEOUT_S).ok:
            return None
        if (folder / MARK).is_file():
            return folder
        media.unmount(system, folder)
    except (AgentError, OSError) as error:
        log.warning("Cannot look into %s: %s", drive, describe(error))
    return None


def _ensure_driver(system: System) -> None:
    """Virtual drives of old Hyper-V hosts are ATAPI, and images may lack the driver."""
    loaded = files.read_if_there(system.path(MODULES)) or ""
    if any(line.split(" ")[0] == DRIVER for line in loaded.splitlines()):
        log.info("Module driver for ATAPI CD-ROM is already present.")
        return
    try:
        system.run("modprobe", DRIVER, timeout_s=TIMEOUT_S).check()
    except AgentError as error:
        log.warning("Could not load ATAPI driver: %s", describe(error))
