"""How much memory the machine uses, once an hour (spec EXT 9.1).

The limits of control groups and what they measure are not here.
"""

from __future__ import annotations

import re

from waagent.core import files
from waagent.core.errors import GuestError
from waagent.core.events import Events
from waagent.core.system import System
from waagent.core.workers import Periodic

PERIOD_S = 3600.0
FIRST_AFTER_S = 60.0  # a machine that is being set up has other things to tell
CATEGORY = "Memory"
_LINE = re.compile(r"^(\w+):\s+(\d+) kB$", re.MULTILINE)


def parse_memory(text: str) -> tuple[float, float]:
    """Used and available megabytes of ``/proc/meminfo``; ``GuestError`` if it says neither."""
    values = {name: int(kilobytes) for name, kilobytes in _LINE.findall(text)}
    if "MemTotal" not in values or "MemAvailable" not in values:
        raise GuestError("cannot measure memory: /proc/meminfo has no MemTotal or MemAvailable")
    available = values["MemAvailable"]
    return (values["MemTotal"] - available) / 1024, available / 1024


class MemoryReport:
    """Sends what the machine's memory is like."""

    def __init__(self, system: System, events: Events) -> None:
        self._system = system
        self._events = events

    def report(self) -> None:
        """Measure and spool two metrics."""
        used_mb, available_mb = parse_memory(files.read_text(self._system.path("/proc/meminfo")))
        self._events.add_metric(CATEGORY, "Used Memory (MB)", "", used_mb)
        self._events.add_metric(CATEGORY, "Available Memory (MB)", "", available_mb)


def periodics(memory: MemoryReport) -> list[Periodic]:
    """The measuring of the thread ``MonitorHandler``."""
    return [Periodic("measure memory", PERIOD_S, memory.report, FIRST_AFTER_S)]
