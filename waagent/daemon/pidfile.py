"""The daemon's pid file: claimed once, never removed, not fooled by a number that was reused.

Source: spec DAEMON 1.3, step 5.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Optional

from waagent.core import files
from waagent.core.errors import GuestError
from waagent.core.system import System

LARGEST = 64 * 1024
AGENT_WORDS = ("waagent", "walinuxagent")
_PID = re.compile(r"[1-9][0-9]{0,9}")


def claim(system: System, path: Path) -> Optional[int]:
    """Write our pid into the file; or the pid of the daemon that already runs.

    A file is stale when its content is no number, our own number, or that of a process that is
    gone or is no agent. Raises ``GuestError`` when the file cannot be written.
    """
    holder = _holder(system, path)
    if holder is not None:
        return holder
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, str(os.getpid()))
    except OSError as error:
        raise GuestError(
            f'cannot write the pid file "{path}": {error.strerror}; the daemon needs root and a'
            " file that it can replace there (Pid.File)"
        ) from error
    return None


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
