"""Which command of a handler runs now, on disk: so that a restarted agent waits for it.

A command outlives an agent that stops (it may be what stops it). Run again beside itself it would
fight over locks, disks and its status. What a command leaves behind is not waited for.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
from collections.abc import Iterable
from typing import Optional

from waagent.core import files
from waagent.core.context import Context
from waagent.core.errors import DocumentError, GuestError, describe
from waagent.core.records import dataclass
from waagent.core.system import System
from waagent.extensions.codes import Interrupted
from waagent.extensions.home import HandlerHome
from waagent.guest.processes import find_begin, find_session
from waagent.guest.stats import read_boot
from waagent.protocol.documents.json_fields import Fields, parse_json

log = logging.getLogger(__name__)

LONGEST_S = 900.0
DYING_S = 5.0
SWEEPS = 5
SWEEP_EVERY_S = 0.05
_LOOK_EVERY_S = 0.25
_LONGEST_RECORD = 4096
_NAME = "HandlerCommand"


@dataclass(frozen=True)
class Running:
    """A command: its process, which no later one is taken for, and until when it may run.

    ``until`` is monotonic time, which all processes of one boot share.
    """

    pid: int
    began: int
    boot: str
    operation: str
    until: int


def note(system: System, home: HandlerHome, *, pid: int, operation: str, limit_s: float) -> None:
    """Record what was just started; where that cannot be it is as if it had not been started."""
    began, boot = find_begin(system, pid), read_boot(system)
    if began is None or boot is None:
        return
    until = int(system.clock.monotonic() + limit_s)
    record = {"pid": pid, "began": began, "boot": boot, "operation": operation, "until": until}
    try:
        # A record of an earlier boot is worth nothing, so it need not outlive one.
        files.write(home.command, json.dumps(record), mode=files.SECRET, lasting=False)
    except OSError as error:
        log.warning("Cannot note the %s command of %s: %s", operation, home.full_name, error)


def forget(home: HandlerHome) -> None:
    """Remove the record; the command has ended."""
    try:
        files.remove(home.command)
    except OSError as error:
        log.warning("Cannot remove %s: %s", home.command, error)


def end_session(system: System, leader: int) -> None:
    """Kill what is in a command's session beside its process group, which is killed already.

    timeout(1) and a shell with job control make groups of their own there. What has made itself
    a session is a service that the command has started, and stays (spec EXT 3.8). The leader must
    not have been waited for, so that its number is still its own.
    """
    for _ in range(SWEEPS):
        left = find_session(system, leader)
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        system.clock.wait(None, SWEEP_EVERY_S)


def await_commands(context: Context, homes: Iterable[HandlerHome]) -> None:
    """Return when no command that an earlier start left runs; raises ``Interrupted`` on stop.

    One that is late is ended, as it would have been then. How it ended is not known.
    """
    for home in homes:
        if not os.path.lexists(home.command):
            continue
        record = _read(home)
        if record is not None and record.boot == read_boot(context.system):
            _await_end(context, home, record)
        forget(home)


def _await_end(context: Context, home: HandlerHome, record: Running) -> None:
    if not _is_there(context.system, record):
        return
    clock = context.system.clock
    what = f"the {record.operation} command of {home.full_name} (process {record.pid})"
    left = min(max(record.until - clock.monotonic(), 0.0), LONGEST_S)
    deadline = clock.monotonic() + left
    log.info("Waiting for %s, which an earlier start left running, at most %d s", what, left)
    with context.doing(f"wait for {what}, which an earlier start left running", limit_s=left):
        while _is_there(context.system, record):
            left = deadline - clock.monotonic()
            if left <= 0:
                log.warning("The time of %s is over: it is killed", what)
                _kill(context.system, record)
                return
            if clock.wait(context.stop, min(left, _LOOK_EVERY_S)):
                raise Interrupted
    log.info("No longer waiting: %s has ended", what)


def _kill(system: System, record: Running) -> None:
    """Kill it, as a command that is late; one that hangs in the kernel is left behind."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(record.pid, signal.SIGKILL)
    end_session(system, record.pid)
    deadline = system.clock.monotonic() + DYING_S
    while _is_there(system, record) and system.clock.monotonic() < deadline:
        system.clock.wait(None, _LOOK_EVERY_S)


def _is_there(system: System, record: Running) -> bool:
    return find_begin(system, record.pid) == record.began


def _read(home: HandlerHome) -> Optional[Running]:
    """The record; ``None`` if nothing can be made of it."""
    try:
        data = files.read(home.command, limit=_LONGEST_RECORD)
        fields = Fields(parse_json(data, _NAME), _NAME)
        record = Running(
            pid=fields.number("pid"),
            began=fields.number("began"),
            boot=fields.text("boot"),
            operation=fields.text("operation"),
            until=fields.number("until"),
        )
    except (DocumentError, GuestError, OSError) as error:
        log.warning("Ignore %s: %s", home.command, describe(error))
        return None
    # What kill(2) takes for everybody's process is nobody's.
    return record if record.pid > 1 else None
