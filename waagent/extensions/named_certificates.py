"""Which certificates the settings of installed handlers name, whatever state those are in."""

from __future__ import annotations

import re
from typing import Optional

from waagent.core import files
from waagent.core.errors import GuestError
from waagent.core.paths import Paths
from waagent.extensions.home import homes_on_disk

_THUMBPRINT = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{40}(?![0-9A-Fa-f])")


def find_named_certificates(paths: Paths) -> Optional[frozenset[str]]:
    """Their thumbprints in upper case; ``None`` when some settings cannot be read.

    All versions of a handler count, all its extensions and sequence numbers, and all that looks
    like a thumbprint: extensions name certificates in settings of their own, too.
    """
    named: set[str] = set()
    try:
        for home in homes_on_disk(paths):
            if not home.config.is_dir():
                continue
            for path in home.config.iterdir():
                if path.is_file() and path.suffix in (".settings", ""):
                    found = _THUMBPRINT.findall(files.read_text(path))
                    named.update(each.upper() for each in found)
    except (OSError, GuestError):
        return None
    return frozenset(named)
