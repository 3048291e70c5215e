"""The daemon's pid file: claimed once, never removed, not fooled by a number that was reused.

Source: spec DAEMON 1.3, step 5.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

from waagent.core import files
from waagent.core.system import System


def claim(system: System, path: Path) -> Optional[int]:
    """Write our pid into the file; or the pid of the daemon that already runs.

    A file is stale when its content is no number, our own number, or that of a process that is
    gone or is no agent.
    """
    holder = _holder(system, path)
    if holder is not None:
        return holder
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, str(os.getpid()))
    return None


def _holder(system: System, path: Path) -> Optional[int]:
    text = (files.read_if_there(path) or "").strip()
    if not text.isdigit() or int(text) == os.getpid():
        return None
    command = files.read_if_there(system.path(f"/proc/{text}/cmdline"))
    if command is None:
        return None
    words = command.split("\0")
    is_agent = any("waagent" in word.lower() for word in words)
    is_daemon = any(word.lstrip("-/").startswith("daemon") for word in words)
    return int(text) if is_agent and is_daemon else None
