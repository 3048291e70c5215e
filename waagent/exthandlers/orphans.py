"""Pid files of ext-handler processes, and how one tells that its daemon is gone.

Source: spec EXT 1.5. An older process is waited for, then killed, so that two never run
extensions at the same time.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from waagent.core import files
from waagent.core.clock import Stop
from waagent.core.system import System
from waagent.core.version import AGENT_NAME, AGENT_VERSION

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
