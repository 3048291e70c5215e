"""How much memory the machine uses, as two metrics."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.golden import recorded
from tests.support.machine import Machine
from tests.support.spool import spooled
from waagent.core.errors import GuestError
from waagent.core.events import Events
from waagent.monitor.resources import MemoryReport, parse_memory, periodics

MEMINFO = "MemTotal:        1013672 kB\nMemFree: 1 kB\nMemAvailable:     755072 kB\nHugePages: 0\n"


def test_memory_is_told_as_two_metrics_in_megabytes(tmp_path: Path) -> None:
    """Used is what is not available."""
    guest = Machine(files={"/proc/meminfo": MEMINFO}).boot(tmp_path / "root")
    events = Events(tmp_path / "spool", guest.clock)
    MemoryReport(guest.system, events).report()
    told = [(event["Counter"], event["Value"]) for event in spooled(tmp_path / "spool")]
    assert told == [("Used Memory (MB)", 252.5390625), ("Available Memory (MB)", 737.375)]
    assert {event["Category"] for event in spooled(tmp_path / "spool")} == {"Memory"}


@pytest.mark.parametrize(
    "text", ["", "MemTotal: 5 kB\n", "MemTotal: many kB\nMemAvailable: 1 kB\n"]
)
def test_memory_that_the_kernel_does_not_tell_is_an_error(text: str) -> None:
    """The thread's worker says so, once an hour."""
    with pytest.raises(GuestError, match="cannot measure memory"):
        parse_memory(text)


def test_memory_is_measured_every_hour(tmp_path: Path) -> None:
    """At once for the first time."""
    guest = Machine().boot(tmp_path / "root")
    (periodic,) = periodics(MemoryReport(guest.system, Events(tmp_path, guest.clock)))
    assert periodic.every_s == 3600.0


def test_metrics_have_the_recorded_parameters(tmp_path: Path) -> None:
    """All of them, those that the events of a request share among them."""
    requests = list(recorded("wire.telemetry", "04-failing.jsonl"))
    theirs = [
        {**request["body_events"]["common"], **event["params"]}
        for request in requests
        for event in request["body_events"]["events"]
        if event["id"] == "4"
    ]
    guest = Machine(files={"/proc/meminfo": MEMINFO}).boot(tmp_path / "root")
    MemoryReport(guest.system, Events(tmp_path / "spool", guest.clock)).report()
    ours = spooled(tmp_path / "spool")
    named = ("Category", "Counter", "Instance")
    key = sorted({tuple(event[name] for name in named) for event in theirs})
    assert sorted(tuple(event[name] for name in named) for event in ours) == key
    assert {frozenset(event) for event in theirs} == {frozenset(event) for event in ours}
