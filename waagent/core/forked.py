"""Run work in a forked copy of this process, so that its memory and imports go away with it.

Only for a process that has one thread: the daemon, while it boots (ARCHITECTURE.md, processes).
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from typing import Callable, Optional

from waagent.core import streams
from waagent.core.errors import Exit

log = logging.getLogger(__name__)

CRASHED = 1
MAX_CODE = 255
PR_SET_PDEATHSIG = 1  # prctl(2)


class ForkedChild:
    """A forked copy; see ``core.commands.Child``."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._code: Optional[int] = None
        self._pidfd: Optional[int] = None
        with contextlib.suppress(AttributeError, OSError):  # Linux before 5.3
            self._pidfd = os.pidfd_open(pid)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._pid

    def poll(self) -> Optional[int]:
        """The exit code (negative: the signal), or ``None`` while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._code = (
                    -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                )
                if self._pidfd is not None:
                    os.close(self._pidfd)
                    self._pidfd = None
        return self._code

    def send(self, number: int) -> None:
        """Send a signal to the process; one that is gone is no error."""
        if self._code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, number)

    def kill_group(self) -> None:
        """Kill everything in its process group, also before it has made that group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)
        self.send(signal.SIGKILL)

    def descriptor(self) -> Optional[int]:
        """A pidfd that becomes readable at its exit, or ``None``."""
        return self._pidfd


def fork(work: Callable[[], int]) -> ForkedChild:
    """Start ``work`` in a forked copy with a session of its own; its result is the exit code.

    ``Exit`` gives its code; any other error, or a result that is no exit code, is ``CRASHED``.
    Raises ``RuntimeError`` when this process has other threads: their locks would be lost.
    """
    if threading.active_count() != 1:
        raise RuntimeError("cannot fork a process that has other threads")
    streams.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return ForkedChild(pid)
    _be_the_copy(work, parent)
    raise AssertionError("not reached")


def _die_with_parent(expected_parent: int) -> None:
    """Let the kernel kill the copy when its parent dies, so that no two ever do the same work.

    The parent's signal handlers are its own: a termination ends the copy at once.
    """
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    import ctypes  # only the copy needs it, and goes away with it

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != expected_parent:
        os._exit(CRASHED)


def _be_the_copy(work: Callable[[], int], parent: int) -> None:
    code = CRASHED
    try:
        _die_with_parent(parent)
        os.setsid()
        result = work()
        code = result if 0 <= result <= MAX_CODE else CRASHED
    except Exit as leave:
        code = leave.code
    except BaseException:  # the copy must never return into its parent's code
        log.exception("The boot helper failed")
    finally:
        try:
            streams.flush()
        finally:
            os._exit(code)
