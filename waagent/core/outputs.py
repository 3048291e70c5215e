"""Files without a name that a command of others writes to: read at their start, kept small.

What a command leaves running may go on writing there for years, to a file that nobody sees and
that no log rotation knows. So they are looked after until nobody has them open any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

LARGEST = 16 * 1024 * 1024  # of what they take on the disk
KEPT = 64


class Outputs:
    """Makes such files, and looks after those that are still written to."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._left: list[int] = []

    @contextlib.contextmanager
    def pair(self, folder: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """Files for output and errors, on the disk of a folder; raises ``OSError``."""
        with tempfile.TemporaryFile(dir=folder) as out, tempfile.TemporaryFile(dir=folder) as err:
            try:
                yield out, err
            finally:
                self._look_after(out.fileno(), err.fileno())

    def text(self, stream: IO[bytes]) -> str:
        """The start of what was written, undecodable bytes escaped."""
        return os.pread(stream.fileno(), self._start, 0).decode("utf-8", "backslashreplace")

    def bound(self, *streams: IO[bytes]) -> None:
        """Cut what has grown too large to its start: no more of it is read."""
        for stream in streams:
            self._cut(stream.fileno())

    def tend(self) -> None:
        """Cut what those write that a command left behind; forget what nobody has open."""
        for descriptor in list(self._left):
            if _is_shared(descriptor):
                self._cut(descriptor)
            else:
                self._left.remove(descriptor)
                os.close(descriptor)

    def _look_after(self, *descriptors: int) -> None:
        """Have a description of our own: the command's is then only there while others have it."""
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                again = f"/proc/self/fd/{descriptor}"
                self._left.append(os.open(again, os.O_RDWR | os.O_CLOEXEC))
        for descriptor in self._left[:-KEPT]:
            os.close(descriptor)
        del self._left[:-KEPT]

    def _cut(self, descriptor: int) -> None:
        with contextlib.suppress(OSError):
            if os.fstat(descriptor).st_blocks * 512 > LARGEST:
                os.ftruncate(descriptor, self._start)


def _is_shared(descriptor: int) -> bool:
    """Whether somebody else has the file open: only then we cannot have it to ourselves."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:  # a file system without leases: nobody can tell
        return False
    return False
