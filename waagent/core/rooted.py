"""Paths of the guest as paths of this process; a folder may stand for its ``/``.

Little more than a path, so that a command that only reads a file or two stays quick.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Optional

MAX_LINKS = 40


class Rooted:
    """The guest's files: those of this machine, or those below a folder."""

    root: Path

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, absolute: str) -> Path:
        """Where an absolute path of the guest lies; links are followed as if the root were ``/``.

        Links are followed here and nowhere else, on a machine as in a test's folder: what is
        written to the result keeps a link (/etc/resolv.conf) and replaces what it points to. The
        last part need not exist. ``..`` stops at the root. Too many links are the ``OSError``
        that the kernel has for them.
        """
        return self.root.joinpath(*self._resolve(_parts(absolute), absolute))

    def entry(self, absolute: str) -> Path:
        """Where the name itself lies, be it a link: to look at it, make it or remove it."""
        parts = _parts(absolute)
        if not parts or parts[-1] == "..":
            return self.path(absolute)
        return self.root.joinpath(*self._resolve(parts[:-1], absolute), parts[-1])

    def within(self, path: Path) -> str:
        """The guest's own name for a path that ``path()`` gave."""
        return str(Path("/") / path.relative_to(self.root))

    def _resolve(self, parts: list[str], absolute: str) -> list[str]:
        resolved: list[str] = []
        pending = list(reversed(parts))
        links = 0
        while pending:
            part = pending.pop()
            if part == "..":
                resolved = resolved[:-1]
                continue
            target = _link_target(self.root.joinpath(*resolved, part))
            if target is None:
                resolved.append(part)
                continue
            links += 1
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), absolute)
            if target.startswith("/"):
                resolved = []
            pending.extend(reversed(_parts(target)))
        return resolved


def this_machine() -> Rooted:
    """The files of this machine."""
    return Rooted(Path("/"))


def _link_target(path: Path) -> Optional[str]:
    try:
        return str(path.readlink())
    except (OSError, ValueError):  # no link, not there or closed to us: whoever uses it will hear
        return None


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
