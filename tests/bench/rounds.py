"""One round: a fresh machine with one agent, from power on to the first status after a restart.

While something is measured, nobody looks into the guest: only the fabric listens.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from tests.bench import heard
from tests.bench.clock import Reading, Relation, relate, with_drift
from tests.bench.record import Boot, Round, Window, compare, find_child_start, read_memory
from tests.bench.snapshot import SCRIPT, Snapshot, parse_snapshot
from tests.fabric import ECHO
from tests.vm.lab import Lab
from tests.vm.machine import OFF_WITHIN_S, Machine
from tests.vm.qemu import MachineFailed
from tests.vm.shell import BuildFailed

STOPWATCH = Path(__file__).with_name("stopwatch.py")
PYTHON, VERSION = "python3 -c pass", "waagent -version"
# The emulator's extension as the agent runs it: what no agent can be faster than.
HANDLER = (
    f"sh -c 'cd /var/lib/waagent/{ECHO}-1.0.0 && ConfigSequenceNumber={{}} bin/handler.sh enable'"
)
ODD = (MachineFailed, BuildFailed, AssertionError, OSError, ValueError)
READINGS = 16
PERIOD_S = 6.0  # in which an agent looks for a new goal state
UNIT_FACTS = (
    "MainPID",
    "NRestarts",
    "InactiveExitTimestampMonotonic",
    "ExecMainStartTimestampMonotonic",
    "ActiveEnterTimestampMonotonic",
)
SYSTEM_FACTS = ("UserspaceTimestampMonotonic", "FinishTimestampMonotonic")


@dataclass(frozen=True)
class Plan:
    """How much is measured in a round."""

    limit_s: float = 240.0
    changes: int = 5
    settle_s: float = 45.0
    idle_s: float = 300.0  # 0: no window
    alone: bool = True  # also the guest without the agent
    turns: int = 7


def measure(lab: Lab, record: Round, plan: Plan, folder: Path) -> None:
    """Fill a record; what went wrong is in it, and the evidence in the folder."""
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)  # of a run before
    folder.mkdir(parents=True)
    image = lab.image(lab.agent)
    media = lab.person.media(hostname=lab.media_hostname)
    with lab.machine(media, image=image) as machine:
        session = Session(machine, f"{lab.service}.service", record, plan)
        try:
            session.play(folder)
        except ODD as e:
            record.failed = f"{type(e).__name__}: {str(e).partition('; seen:')[0]}"
            (folder / "failure.txt").write_text(str(e) + "\n", encoding="utf-8")
            with contextlib.suppress(*ODD):
                session.see_first_boot()
            session.keep_evidence(folder)
        record.violations = list(machine.fabric.violations)
    record.took_s = time.monotonic() - started


class Session:
    """The steps of a round in one machine."""

    def __init__(self, machine: Machine, unit: str, record: Round, plan: Plan) -> None:
        self._machine, self._unit = machine, unit
        self._record, self._plan = record, plan
        self._fabric = machine.fabric
        self._power_on = machine.hardware.started

    def play(self, folder: Path) -> None:
        """All steps in order."""
        record, plan = self._record, self._plan
        self._say("boots")
        self._fabric.await_ready(plan.limit_s)
        self._fabric.await_extension(ECHO, seq_no=0, within_s=plan.limit_s)
        for number in range(1, plan.changes + 1):
            record.changes_s.append(self._change(number))
        self._machine.run("systemctl", "is-system-running", "--wait", within_s=plan.limit_s)
        _pause(plan.settle_s)
        clock, start = self.see_first_boot()
        if plan.idle_s:
            self._say(f"is idle for {plan.idle_s:g} s")
            _pause(plan.idle_s)
            end = self._look()
            record.idle, clock = self._between(start, end, clock)
            record.boot = self._read_boot(clock, start, self._power_on, 0)
            record.memory = read_memory(end, self._main())
        self._time_version()
        self.keep_evidence(folder)
        if plan.idle_s and plan.alone:
            record.alone = self._look_at_the_guest_alone()
        self._say("restarts")
        record.restart = self._restart()

    def see_first_boot(self) -> tuple[Relation, Snapshot]:
        """Note what happened until now, and return the clock and the counters of this moment."""
        clock = relate(self._read_clock())
        seen = self._look()
        if self._record.boot.service_s is None:
            self._record.boot = self._read_boot(clock, seen, self._power_on, 0)
        return clock, seen

    def keep_evidence(self, folder: Path) -> None:
        """The agent's log, the journal, the console and the requests, for a reader."""
        entries = self._fabric.journal.entries()
        service = self._record.boot.service_s or 0.0
        text = heard.render_requests(entries, self._power_on + service)
        (folder / "requests.txt").write_text(text, encoding="utf-8")
        (folder / "console.txt").write_text(self._machine.console, encoding="utf-8")
        commands = {
            "waagent.log": ("cat", "/var/log/waagent.log"),
            "journal.txt": ("journalctl", "-b", "--no-pager", "-o", "short-monotonic"),
        }
        for name, argv in commands.items():
            with contextlib.suppress(MachineFailed, TimeoutError):
                done = self._machine.run(*argv, within_s=120)
                (folder / name).write_text(done.output + done.errors, encoding="utf-8")

    def _say(self, what: str) -> None:
        at = time.time() - self._power_on
        print(
            f"  {self._record.agent}, round {self._record.number}: {what} ({at:.0f} s)", flush=True
        )

    def _change(self, number: int) -> float:
        """New settings, and the time until the fabric hears of their success.

        Each change comes at another moment of the agent's period, the same for every agent.
        """
        _pause(PERIOD_S * (number - 1) / self._plan.changes)
        mark = len(self._fabric.journal.entries())
        asked = time.time()
        self._fabric.portal.update_settings(ECHO, {"echo": f"change {number}"}, {"secret": "s"})
        self._fabric.await_extension(ECHO, seq_no=number, within_s=self._plan.limit_s)
        done = heard.find_success(self._fabric.journal.entries(since=mark), ECHO, number)
        if done is None:
            raise ValueError(f"cannot find the status of change {number} in the journal")
        return done - asked

    def _read_clock(self) -> list[Reading]:
        readings = []
        for _ in range(READINGS):
            before = time.time()
            text = self._machine.must("cat", "/proc/uptime")
            readings.append(Reading(before, float(text.split()[0]), time.time()))
        return readings

    def _look(self) -> Snapshot:
        script = ("sh", "-c", SCRIPT, "look", self._unit)
        return parse_snapshot(self._machine.run(*script, within_s=120).output)

    def _facts(self, *unit: str, names: Sequence[str]) -> dict[str, int]:
        text = self._machine.must("systemctl", "show", *unit, *(f"-p{name}" for name in names))
        return {k: int(v) for k, _, v in (line.partition("=") for line in text.splitlines()) if v}

    def _main(self) -> int:
        return self._facts(self._unit, names=("MainPID",)).get("MainPID", 0)

    def _read_boot(self, clock: Relation, seen: Snapshot, origin: float, since: int) -> Boot:
        """What happened after a moment of this machine's clock and a number of the journal."""
        unit = self._facts(self._unit, names=UNIT_FACTS)
        system = self._facts(names=SYSTEM_FACTS)
        child = find_child_start(seen, unit.get("MainPID", 0))
        entries = self._fabric.journal.entries(since=since)

        def guest(micros: Optional[int]) -> Optional[float]:
            return clock.host_time(micros / 1e6) - origin if micros else None

        def fabric(moment: Optional[float]) -> Optional[float]:
            return None if moment is None else moment - origin

        first = "InactiveExit" if unit.get("NRestarts") else "ExecMainStart"
        return Boot(
            service_s=guest(unit.get(f"{first}TimestampMonotonic")),
            active_s=guest(unit.get("ActiveEnterTimestampMonotonic")),
            kernel_s=clock.host_time(0.0) - origin,
            userspace_s=guest(system.get("UserspaceTimestampMonotonic")),
            system_up_s=guest(system.get("FinishTimestampMonotonic")),
            provisioning_s=fabric(heard.find_health(entries, "NotReady")),
            ready_s=fabric(heard.find_health(entries, "Ready")),
            child_s=None if child is None else clock.host_time(child) - origin,
            status_s=fabric(heard.find_status_after(entries, origin)),
            extension_s=fabric(heard.find_success(entries, ECHO, 0)),
            requests_s=[e.time - origin for e in entries if e.endpoint != "dhcp"],
            clock_uncertainty_s=clock.uncertainty_s,
            clock_drift_ppm=clock.drift * 1e6,
            restarts_of_the_unit=unit.get("NRestarts", 0),
        )

    def _between(self, start: Snapshot, end: Snapshot, clock: Relation) -> tuple[Window, Relation]:
        """The window between two looks, and the clock as it is known by now."""
        better = with_drift(clock, relate(self._read_clock()))
        first, last = better.host_time(start.uptime_s), better.host_time(end.uptime_s)
        requests = heard.count_requests(self._fabric.journal.entries(), first, last)
        return compare(start, end, self._main(), requests), better

    def _time_version(self) -> None:
        if not self._plan.turns:
            return
        handler = HANDLER.format(len(self._record.changes_s))
        words = ("python3", "-", str(self._plan.turns), PYTHON, VERSION, handler)
        done = self._machine.run(*words, given=STOPWATCH.read_bytes(), within_s=300)
        if done.code:
            raise MachineFailed(f"cannot time {VERSION}: {done.said}")
        times = json.loads(done.output)
        self._record.python_s, self._record.version_s = times[PYTHON], times[VERSION]
        self._record.handler_s = times[handler]

    def _look_at_the_guest_alone(self) -> Window:
        """The same window with the service stopped: what the guest does by itself."""
        self._say(f"is stopped for {self._plan.idle_s:g} s")
        self._machine.must("systemctl", "stop", self._unit, within_s=120)
        _pause(min(self._plan.settle_s, 15.0))
        start = self._look()
        _pause(self._plan.idle_s)
        return compare(start, self._look(), 0, {})

    def _restart(self) -> Boot:
        """Restart the machine; its second boot counts from the start of the kernel."""
        hardware, journal = self._machine.hardware, self._fabric.journal
        mark = hardware.count_events()
        # A moment later, so that the guest agent has answered before it is told to stop.
        self._machine.must("systemd-run", "-q", "--on-active=2", "systemctl", "reboot")
        reset = _moment(hardware.await_event("RESET", mark, OFF_WITHIN_S))
        since = sum(e.time <= reset for e in journal.entries())
        self._fabric.await_(
            lambda: heard.find_status_after(journal.entries(since=since), reset),
            self._plan.limit_s,
            "a status after the restart",
        )
        self._machine.await_up()
        _pause(min(self._plan.settle_s, 15.0))
        clock = relate(self._read_clock())
        return self._read_boot(clock, self._look(), clock.host_time(0.0), since)


def _moment(event: dict[str, Any]) -> float:
    """When QEMU says that something happened, by this machine's clock."""
    at = event["timestamp"]
    return float(at["seconds"]) + float(at["microseconds"]) / 1e6


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)
