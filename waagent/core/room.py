"""Whether a file system that took nothing may take something again: looked at, never waited for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

from waagent.core.clock import Clock
from waagent.core.later import Later
from waagent.core.records import dataclass

FIRST_PAUSE_S = 300.0
LONGEST_PAUSE_S = 3600.0
ENOUGH_MORE_BYTES = 1024 * 1024
ENOUGH_MORE_FILES = 64


@dataclass(frozen=True)
class _State:
    """A file system at one moment."""

    is_read_only: bool
    free: int
    free_files: int


class Room:
    """Remembers how a folder's file system was when it refused something.

    Another attempt is worth it as soon as there is clearly more room than then, or the file system
    can be written again; and now and then in any case, since it may be a quota or another folder.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._refused: Optional[_State] = None
        self._later = Later(clock, first_s=FIRST_PAUSE_S, most_s=LONGEST_PAUSE_S)

    def refused(self) -> None:
        """Something could not be written just now.

        Of several refusals the roomiest counts: what comes and goes there is no reason to try.
        """
        now, before = self._look(), self._refused
        if now is not None and before is not None:
            free, files = max(now.free, before.free), max(now.free_files, before.free_files)
            now = _State(now.is_read_only, free, files)
        self._refused = now
        self._later.postpone()

    def accepted(self) -> None:
        """All could be written."""
        self._refused = None
        self._later.reset()

    @property
    def may_have_come(self) -> bool:
        """Whether another attempt is worth it."""
        if self._later.is_due:
            return True
        before, now = self._refused, self._look()
        if before is None or now is None:
            return False
        return (
            (before.is_read_only and not now.is_read_only)
            or now.free >= before.free + ENOUGH_MORE_BYTES
            or now.free_files >= before.free_files + ENOUGH_MORE_FILES
        )

    def _look(self) -> Optional[_State]:
        try:
            found = os.statvfs(self._folder)
        except OSError:
            return None
        read_only = bool(found.f_flag & os.ST_RDONLY)
        return _State(read_only, found.f_bavail * found.f_frsize, found.f_favail)
