"""The daemon's pid file: claimed once, never removed, not fooled by a number that was reused.

Source: spec DAEMON 1.3, step 5.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from waagent.core import files
from waagent.core.clock import Clock
from waagent.core.errors import GuestError, describe
from waagent.core.system import System

log = logging.getLogger(__name__)

PATIENCE_S = 5.0
LOOK_EVERY_S = 0.05
LARGEST = 64 * 1024
AGENT_WORDS = ("waagent", "walinuxagent")
_PID = re.compile(r"[1-9][0-9]{0,9}")


def claim(system: System, path: Path) -> Optional[int]:
    """Write our pid into the file; or the pid of the daemon that already runs.

    A file is stale when its content is no number, our own number, or that of a process that is
    gone or is no agent. Raises ``GuestError`` when the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(system.clock, path.parent):
            holder = _holder(system, path)
            if holder is None:
                files.write(path, str(os.getpid()))
            return holder
    except OSError as error:
        raise GuestError(
            f'cannot write the pid file "{path}": {describe(error)}; the daemon needs root and a'
            " file that it can replace there (Pid.File)"
        ) from error


@contextlib.contextmanager
def _one_at_a_time(clock: Clock, folder: Path) -> Iterator[None]:
    """Of two that start at once, the second looks when the first has written."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = clock.monotonic() + PATIENCE_S
        while not _try_to_lock(descriptor):
            if clock.monotonic() >= deadline:
                log.warning("%s is locked by another process; not waiting any longer", folder)
                break
            clock.wait(None, LOOK_EVERY_S)
        yield
    finally:
        os.close(descriptor)


def _try_to_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # a file system that knows no locks
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL):
            raise
    return True


def _holder(system: System, path: Path) -> Optional[int]:
    text = _read(path).strip()
    if not _PID.fullmatch(text) or int(text) == os.getpid():
        return None
    words = _read(system.path(f"/proc/{text}/cmdline")).split("\0")
    is_agent = any(known in word.lower() for word in words for known in AGENT_WORDS)
    is_daemon = any(word.lstrip("-/").startswith("daemon") for word in words)
    return int(text) if is_agent and is_daemon else None


def _read(path: Path) -> str:
    """The start of a file; what cannot be read, or is too long to be meant, is empty."""
    try:
        return files.read_text(path, limit=LARGEST)
    except (OSError, GuestError):
        return ""
