"""Commands of an attempt that was killed: they are waited for, so that no two change one file.

A daemon that is killed takes its helper along, but not the ssh-keygen or useradd of that moment.
"""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Collection
from typing import Optional

from waagent.core.context import Context
from waagent.guest.processes import Process, find_orphans_of_ours

log = logging.getLogger(__name__)

PATIENCE_S = 60.0
LOOK_EVERY_S = 0.1


def await_leftovers(context: Context, programs: Optional[Collection[str]] = None) -> None:
    """Wait until none is left, at most ``PATIENCE_S``; then go on and say so.

    With ``programs``, only these: where no systemd starts services, one that was started by a
    command of ours looks like a command that was left.
    """
    clock = context.system.clock
    deadline = clock.monotonic() + PATIENCE_S
    told = False
    while True:
        left = [
            process
            for process in find_orphans_of_ours(context.system)
            if programs is None or _is_one_of(process, programs)
        ]
        if not left:
            return
        names = ", ".join(f"{process.argv[0]} ({process.pid})" for process in left)
        if not told:
            log.info("Waiting for what an earlier start left running: %s", names)
            told = True
        if clock.monotonic() >= deadline:
            log.warning("Not waiting any longer for %s", names)
            return
        if clock.wait(context.stop, LOOK_EVERY_S):
            return


def _is_one_of(process: Process, programs: Collection[str]) -> bool:
    """By its name, or by that of the script that it interprets."""
    return any(posixpath.basename(word) in programs for word in process.argv[:2])
