"""Pid files of ext-handler processes, and how one tells that its daemon is gone.

Source: spec EXT 1.5. An older process is waited for, then killed, so that two never run
extensions at the same time. Whoever hears of its daemon's end leaves at once, also while a
command of an extension runs: the next one takes that command over, and is not kept waiting.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import select
import signal
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from waagent.core import files
from waagent.core.clock import Bell, Stop
from waagent.core.context import Context
from waagent.core.system import System
from waagent.core.version import AGENT_NAME, AGENT_VERSION
from waagent.core.workers import Periodic, Wake

log = logging.getLogger(__name__)

NAME = f"{AGENT_NAME}-{AGENT_VERSION}"
LOOK_EVERY_S = 3.0
PATIENCE_S = 900.0
_PID = re.compile(r"[1-9][0-9]{0,9}")
_LONGEST = 4096


def is_orphan(pid_file: Path) -> bool:
    """Whether the process that started us is no longer the daemon of the pid file."""
    parent = os.getppid()
    text = (files.read_if_there(pid_file) or "").strip()
    return (parent == 1 and text != "1") or text != str(parent)


class DaemonEnd:
    """Wakes whoever waits for its descriptor, once, when the process that started us has ended."""

    def __init__(self, pidfd: int) -> None:
        self._pidfd = pidfd
        self._silence = Bell()  # a pidfd would speak for ever
        self._has_ended = False
        weakref.finalize(self, os.close, pidfd)

    def answer(self) -> bool:
        """Whether it has ended since that was asked last."""
        if self._has_ended:
            return False
        poller = select.poll()
        poller.register(self._pidfd, select.POLLIN)
        self._has_ended = bool(poller.poll(0))
        return self._has_ended

    def fileno(self) -> int:
        """A descriptor that is readable while nobody has answered."""
        return self._silence.fileno() if self._has_ended else self._pidfd


def watch_daemon(context: Context) -> Periodic:
    """Work for a thread: have us stop as soon as the kernel tells that the daemon is gone.

    Without that word it is looked for now and then.
    """
    pid_file, stop = context.paths.pid_file, context.stop

    def leave() -> None:
        if is_orphan(pid_file) and not stop.is_set():
            log.info("Agent %s is an orphan -- exiting", NAME)
            stop.set()

    end = _find_end()
    every_s = LOOK_EVERY_S if end is None else 0.0
    return Periodic("see whether the daemon is there", every_s, leave, bell=end)


def _find_end() -> Optional[Wake]:
    try:
        return DaemonEnd(os.pidfd_open(os.getppid()))
    except (AttributeError, OSError):  # Linux before 5.3
        return None


def claim(system: System, pid_file: Path, stop: Stop) -> None:
    """End what older ext-handler processes are left, then write our own numbered pid file.

    When told to stop meanwhile, what is left is the next start's affair.
    """
    highest = -1
    try:
        for number, path in _numbered(pid_file):
            highest = max(highest, number)
            pid = _read_pid(path)
            if pid is not None and pid != os.getpid() and not _outlive(system, pid, stop):
                return
            files.remove(path)
        files.write(pid_file.with_name(f"{highest + 1}_{pid_file.name}"), str(os.getpid()))
    except OSError as error:
        log.warning("Cannot keep the pid files beside %s in order: %s", pid_file, error)
    log.info("%s running as process %d", NAME, os.getpid())


def _numbered(pid_file: Path) -> Iterable[tuple[int, Path]]:
    """Number and path of the existing files, in ascending order."""
    pattern = re.compile(rf"(\d+)_{re.escape(pid_file.name)}")
    found = []
    for path in pid_file.parent.glob(f"*_{pid_file.name}"):
        match = pattern.fullmatch(path.name)
        if match:
            found.append((int(match.group(1)), path))
    return sorted(found)


def _read_pid(path: Path) -> Optional[int]:
    text = (files.read_if_there(path, limit=_LONGEST) or "").strip()
    return int(text) if _PID.fullmatch(text) else None


def _outlive(system: System, pid: int, stop: Stop) -> bool:
    """Wait for the end of an older process, or make one; ``False`` when told to stop before."""
    deadline = system.clock.monotonic() + PATIENCE_S
    while _is_ext_handler(system, pid):
        if system.clock.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            log.warning("%s forcibly terminated orphan process %d", NAME, pid)
            return True
        log.info("%s waiting for orphan process %d to terminate", NAME, pid)
        if system.clock.wait(stop, LOOK_EVERY_S):
            return False
    return True


def _is_ext_handler(system: System, pid: int) -> bool:
    """Whether the process is there and is one of ours: numbers are reused."""
    command = files.read_if_there(system.path(f"/proc/{pid}/cmdline")) or ""
    return "run-exthandlers" in command
