"""Changing the account files beside other programs: theirs is waited for, a dead one's lock goes.

useradd and chpasswd do not wait when a package is just making its own user, and fail for ever over
a lock that a crash left empty. Source: lckpwdf(3); shadow-utils' own lock files.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from waagent.core import files
from waagent.core.commands import Result
from waagent.core.errors import GuestError
from waagent.core.system import System
from waagent.guest import stats

log = logging.getLogger(__name__)

PASSWORD_LOCK = "/etc/.pwd.lock"  # noqa: S105 - the file that lckpwdf(3) locks
LOCK_TRIES = 15
DISK_TROUBLE = tuple(
    os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
)
_LOCKED = ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")
_LONGEST_PID = 64


def change_accounts(system: System, *argv: str, stdin: Optional[bytes] = None) -> Result:
    """Run a program that changes accounts; while another one does, it is tried again.

    Each second for as long as lckpwdf(3) waits; the last result then, however it ended. A disk
    that takes no lock is not waited for.
    """
    for attempt in range(1, LOCK_TRIES + 1):
        result = system.run(*argv, stdin=stdin)
        if result.ok or "cannot lock" not in result.output or find_disk_trouble(result):
            break
        if not _remove_dead_locks(system) and attempt < LOCK_TRIES:
            if attempt == 1:
                log.info("Waiting for another program that changes accounts, to run %s", argv[0])
            system.clock.wait(None, 1.0)
    return result


def find_disk_trouble(result: Result) -> str:
    """What a program said of a full, read-only or broken disk, which it may take for a lock."""
    return next((words for words in DISK_TROUBLE if words in result.output), "")


@contextlib.contextmanager
def shadow_lock(system: System) -> Iterator[None]:
    """Hold the lock under which programs change the account files, as lckpwdf(3) does."""
    path = system.path(PASSWORD_LOCK)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        for _ in range(LOCK_TRIES):
            with contextlib.suppress(BlockingIOError, PermissionError):
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            system.clock.wait(None, 1.0)
        else:
            raise GuestError(
                f"cannot change the account files: {PASSWORD_LOCK} has been locked by another"
                f" program for {LOCK_TRIES} s; try again when that has ended"
            )
        yield
    finally:
        os.close(descriptor)


def _remove_dead_locks(system: System) -> bool:
    """Remove locks whose holder is gone, as shadow-utils do; whether there was one.

    Theirs are made with a process id in them: one without is what a crash left.
    """
    removed = False
    with shadow_lock(system):
        for name in _LOCKED:
            path = system.entry(f"/etc/{name}.lock")
            if _is_dead(system, path):
                log.warning("Removing %s: the program that made it is gone", system.within(path))
                removed = files.remove(path) or removed
    return removed


def _is_dead(system: System, path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    up_s = stats.uptime_s(system)
    if up_s and path.stat().st_mtime < system.clock.now().timestamp() - up_s:
        return True  # of an earlier boot: its number may be another process's by now
    text = (files.read_if_there(path, limit=_LONGEST_PID) or "").strip("\0 \n")
    return not text.isdigit() or not system.path(f"/proc/{int(text)}").exists()
