"""Values of the kernel under /proc/sys: read one, and hear when one changes.

The kernel wakes who polls such a file for ``POLLPRI`` (``proc_sys_poll``); of all values only the
host and domain name do so. Of a plain file, as in a test's folder, nothing is heard.
"""

from __future__ import annotations

import contextlib
import os
import select
import weakref
from pathlib import Path
from typing import Optional


class ValueBell:
    """Rings when the value may have changed since it was answered last; see ``workers.Wake``.

    Polling is what takes the kernel's word away, so that whoever waited cannot ask again what
    woke him. Hence the answer is found by comparing: nothing can be missed between two waits. The
    kernel rings for every namespace; of other ones' names nothing is told.
    """

    def __init__(self, value: int, queue: select.epoll) -> None:
        self._value = value
        self._queue = queue
        self._last = self._read()
        weakref.finalize(self, os.close, value)

    def fileno(self) -> int:
        """A descriptor that is readable once the kernel has told of a change."""
        return self._queue.fileno()

    def answer(self) -> bool:
        """Whether the value is another than at the last answer."""
        before, self._last = self._last, self._read()
        return before != self._last

    def _read(self) -> bytes:
        with contextlib.suppress(OSError):
            return os.pread(self._value, 4096, 0)
        return b""


def find_bell(path: Path) -> Optional[ValueBell]:
    """A bell for the value, or ``None`` where the kernel does not tell of changes."""
    try:
        value = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    # A queue of its own: the value is always readable, and a wait listens for that too.
    queue = select.epoll(flags=select.EPOLL_CLOEXEC)
    try:
        queue.register(value, select.EPOLLPRI)
    except OSError:  # a plain file
        queue.close()
        os.close(value)
        return None
    return ValueBell(value, queue)
