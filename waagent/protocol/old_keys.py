"""Keys and certificates that no goal state lists any more: they go, once nobody names them.

Who names one is for the caller to say: the goal state in force, and installed extensions. What
else on the machine may use one (a web server, by its file name) has a day to change.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path

from waagent.core import files
from waagent.core.paths import Paths

log = logging.getLogger(__name__)

KEPT_S = 86400.0
_NAME = re.compile(r"([0-9A-F]{40})\.(?:crt|prv)")


def remove_old_keys(paths: Paths, named: Collection[str], now: datetime) -> tuple[str, ...]:
    """Remove ``.crt`` and ``.prv`` of thumbprints that are not named, a day after the last goal
    state that listed them; what was removed.

    Each goal state writes the files of its list anew: their time is that of the last one. Raises
    ``OSError``.
    """
    removed = []
    for path, thumbprint in _find(paths.lib):
        age_s = now.timestamp() - path.stat().st_mtime
        if thumbprint not in named and age_s > KEPT_S and files.remove(path):
            removed.append(path.name)
    if removed:
        log.info("Removed old certificates that nothing names: %s", ", ".join(removed))
    return tuple(removed)


def _find(lib: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(lib.iterdir()):
        match = _NAME.fullmatch(path.name)
        if match and path.is_file() and not path.is_symlink():
            yield path, match[1]
