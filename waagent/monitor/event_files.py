"""A folder of event files, as their writers may leave it: read with bounds, emptied with care.

An extension may own its folder, and the agent is root: the folder is opened once without
following a link, and its files are read and removed through it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from waagent.core.clock import timestamp
from waagent.core.errors import EventDropped
from waagent.core.records import dataclass, field

TRIES = 3
PAUSE_S = 1.0
"""Extensions do not always rename: a file may be there before it is whole."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not hold us up


@dataclass(frozen=True)
class EventFile:
    """A regular file's bytes, and when it was written."""

    name: str
    data: bytes = field(repr=False)
    written: str


class EventFolder:
    """An open folder; every method raises ``OSError`` for what the system refuses."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def names(self) -> list[str]:
        """What is in it, folders left out, sorted."""
        with os.scandir(self._descriptor) as entries:
            return sorted(
                entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)
            )

    def read(self, name: str, *, limit: int) -> EventFile:
        """One file; what is no regular file, or is too large, is ``EventDropped``."""
        if not stat.S_ISREG(os.lstat(name, dir_fd=self._descriptor).st_mode):
            raise EventDropped(f"{name} is not a regular file")
        descriptor = os.open(name, _FILE, dir_fd=self._descriptor)
        with os.fdopen(descriptor, "rb") as stream:
            data = stream.read(limit + 1)
            written = os.fstat(descriptor).st_mtime
        if len(data) > limit:
            raise EventDropped(f"{name} is larger than {limit} bytes")
        return EventFile(name, data, _moment(written))

    def remove(self, name: str) -> None:
        """Take a file away, if it is still there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)


@contextlib.contextmanager
def open_event_folder(path: Path) -> Iterator[EventFolder]:
    """The folder while the block runs; a link, or no folder at all, is an ``OSError``."""
    descriptor = os.open(path, _FOLDER)
    try:
        yield EventFolder(descriptor)
    finally:
        os.close(descriptor)


def _moment(seconds: float) -> str:
    try:
        moment = datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, ValueError, OSError):
        moment = datetime.fromtimestamp(0, timezone.utc)  # whoever set it meant no date
    return timestamp(moment)
