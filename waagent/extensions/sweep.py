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
from waagent.extensions.home import homes_on_disk
from waagent.extensions.settings import ensure_environment

log = logging.getLogger(__name__)

# ".Name-1.0.unpacked", ".Name-1.0.removed", and the folder that unpacking begins with, whose name
# may be cut short (``archive.unpack``).
_LEFT_OVER = re.compile(
    r"\.(?P<name>.+)-\d+(\.\d+)*\.(unpacked|removed(\.[0-9a-f]{8})?)|\.\..{1,39}\.[a-z0-9_]{8}"
)
# What an atomic write leaves that was killed before its end (``files.name_beside``), whose name
# may be cut short too. In a handler's folders there may be files of its own like that.
_HALF_WRITTEN = re.compile(r"\..{1,40}\.[0-9a-f]{12}")
_HALF_WRITTEN_OURS = re.compile(
    r"\.(.+\.(settings|status|HandlerState)|Handler\w+(\.json)?|.{40})\.[0-9a-f]{12}"
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
    _sweep_files(paths.lib, _HALF_WRITTEN)
    for home in homes_on_disk(paths):
        try:
            for folder in (home.folder, home.config, home.status):
                _sweep_files(folder, _HALF_WRITTEN_OURS)
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


def _sweep_files(folder: Path, pattern: re.Pattern[str]) -> None:
    """Nobody else writes here now: no worker runs yet, and no older ext-handler any more."""
    for path in folder.glob(".*"):
        if pattern.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            try:
                files.remove(path)
            except OSError as error:
                log.warning("Cannot remove %s: %s", path, describe(error))
