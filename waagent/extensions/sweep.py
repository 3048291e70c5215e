"""What is put in order at the start, and what no goal state names any more (spec EXT 2.7, 3.5).

Nothing here runs a handler's command.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path

from waagent.core import files
from waagent.core.errors import AgentError, describe
from waagent.core.paths import Paths
from waagent.core.version import AGENT_NAME
from waagent.extensions import package
from waagent.extensions.home import HandlerHome, homes_on_disk
from waagent.extensions.settings import ensure_environment

log = logging.getLogger(__name__)

# ".Name-1.0.unpacked", ".Name-1.0.removed", and the folder that unpacking begins with.
_LEFT_OVER = re.compile(r"\.{1,2}(?P<name>.+)-\d+(\.\d+)*\.(unpacked|removed)(\.\w+)?")
# What an atomic write leaves that was killed before its end (``files.name_beside``).
_HALF_WRITTEN = re.compile(
    r"\.(.+\.(settings|status|HandlerState)|Handler\w+(\.json)?)\.[0-9a-f]{12}"
)
_PACKAGE = re.compile(r"(?P<folder>(?P<name>[^-]+)-\d+(\.\d+)*)\.zip", re.IGNORECASE)


def prepare(paths: Paths) -> None:
    """At the child's start: sweep what a kill left, and write every handler's environment anew."""
    try:
        files.ensure_directory(paths.extension_log)
    except (AgentError, OSError) as error:
        log.error("Cannot make the folder for the logs of extensions: %s", describe(error))
    if not paths.lib.is_dir():
        return
    for entry in sorted(paths.lib.iterdir()):
        match = _LEFT_OVER.fullmatch(entry.name)
        if match and match["name"] != AGENT_NAME and entry.is_dir() and not entry.is_symlink():
            log.info("Remove %s, which an earlier run left behind", entry)
            package.discard(entry)
    for home in homes_on_disk(paths):
        try:
            _sweep_home(home)
            ensure_environment(home)
        except (AgentError, OSError) as error:
            log.warning("Cannot prepare %s: %s", home.full_name, describe(error))


def remove_orphans(paths: Paths, names: Iterable[str]) -> None:
    """Remove handlers that the goal state does not name, and packages without a folder."""
    known = frozenset(names)
    for home in list(homes_on_disk(paths)):
        if home.name not in known:
            log.info("Remove %s: the goal state does not name it any more", home.full_name)
            try:
                package.remove(home)
            except (AgentError, OSError) as error:  # a disk is mounted there, perhaps
                log.warning("Cannot remove %s: %s", home.folder, describe(error))
    for path in sorted(paths.lib.iterdir()):
        match = _PACKAGE.fullmatch(path.name)
        if match and match["name"] != AGENT_NAME and not _has_folder(path, match["folder"]):
            files.remove(path)


def _has_folder(path: Path, name: str) -> bool:
    return path.with_name(name).is_dir()


def _sweep_home(home: HandlerHome) -> None:
    for folder in (home.folder, home.config, home.status):
        for path in folder.glob(".*"):
            if _HALF_WRITTEN.fullmatch(path.name) and path.is_file():
                files.remove(path)
