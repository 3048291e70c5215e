"""An hour of the child's loop and threads under a fault, in seconds: what it asked and cost."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Optional

from tests.fabric import ECHO, Fabric
from tests.fabric.model import FAST_TRACK_FABRIC
from tests.outages.cases import Case, delay_of
from tests.outages.shared_clock import SharedClock
from tests.support.agent import ENDPOINT, RootedAgent
from waagent.core.errors import Unreachable
from waagent.core.http import Request, Response, Transport
from waagent.core.redact import without_query
from waagent.core.workers import Worker
from waagent.protocol.network import make_transport
from waagent.protocol.session import Session, open_session

HOUR_S = 3600.0
CREATED = 201


@dataclass(frozen=True)
class Cost:
    """What an hour of an outage cost, and how it was afterwards."""

    requests: int
    most_a_minute: int
    lines: int
    cpu_s: float
    longest_without_status_s: float
    back_after_s: Optional[float]


class CompressedTransport:
    """The real transport; what a peer makes us wait for passes at once, on the shared clock."""

    def __init__(self, transport: Transport, fabric: Fabric, clock: SharedClock) -> None:
        self._transport = transport
        self._fabric = fabric
        self._clock = clock
        self.sent: list[float] = []
        self.status_taken: list[float] = []

    def send(self, request: Request, sink: Optional[BinaryIO] = None) -> Response:
        """See ``Transport.send``."""
        self.sent.append(self._clock.monotonic())
        since = len(self._fabric.journal)
        try:
            response = self._transport.send(request, sink)
        except Unreachable as error:
            delay_s = self._delay(since)
            self._clock.wait(None, delay_s)
            if not delay_s:
                raise
            url = without_query(request.url)
            raise Unreachable(
                f"[HTTP Failed] {request.method} {url} -- IOError timed out",
                method=request.method,
                url=url,
            ) from error
        self._clock.wait(None, self._delay(since))
        if response.status == CREATED:
            self.status_taken.append(self._clock.monotonic())
        return response

    def _delay(self, since: int) -> float:
        struck = [entry.fault for entry in self._fabric.journal.entries("", since) if entry.fault]
        return delay_of(struck[-1]) if struck else 0.0


class CompressedAgent(RootedAgent):
    """A machine's agent whose threads share one compressed time."""

    shared: SharedClock
    compressed: CompressedTransport

    def _open_session(self) -> Session:
        assert isinstance(self.clock, SharedClock)
        self.shared = self.clock
        real = make_transport(self.context)
        self.compressed = CompressedTransport(real, self.fabric, self.clock)
        return open_session(self.context, self.compressed, ENDPOINT, keeps_history=True)


class Hour:
    """One machine that runs its extension; then the fault comes, with a new goal state."""

    def __init__(self, root: Path, fabric: Fabric) -> None:
        self.fabric = fabric
        fabric.platform.set_fast_track(FAST_TRACK_FABRIC)
        self.clock = SharedClock()
        self.agent = CompressedAgent(root, fabric, clock=self.clock)
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n", encoding="ascii")
        self.agent.start().turn(2)
        self.agent.start()  # a new process: it has to ask for everything again
        self._lines = 0
        self._cpu_s = 0.0

    def play(self, case: Case, seconds: float = HOUR_S) -> Cost:
        """Let the time pass under the fault; then repair, change something and see it done."""
        for endpoint, fault in case.faults:
            self.fabric.fault(endpoint, fault)
        self.fabric.portal.update_extension(ECHO, version="1.1.0")
        listener = _Listener()
        logging.getLogger("waagent").addHandler(listener)
        start = self.clock.monotonic()
        try:
            threads = self._begin()
            self._turns(until=start + seconds)
            end, lines, cpu_s = self.clock.monotonic(), listener.count, self._cpu_so_far()
            back_after_s = self._recover()
            self._end(threads)
        finally:
            logging.getLogger("waagent").removeHandler(listener)
        sent = [moment for moment in self.agent.compressed.sent if start <= moment <= end]
        taken = [m for m in self.agent.compressed.status_taken if start <= m <= end]
        share = seconds / (end - start)
        return Cost(
            requests=round(len(sent) * share),
            most_a_minute=_most_within(sent, 60.0),
            lines=round(lines * share),
            cpu_s=cpu_s * share,
            longest_without_status_s=_longest_gap([start, *taken, end]),
            back_after_s=back_after_s,
        )

    def _begin(self) -> list[threading.Thread]:
        workers = self.agent.process.monitor.workers
        threads = [
            threading.Thread(target=self._live, args=(one,), name=one.name, daemon=True)
            for one in workers
        ]
        self.clock.join(leads=True)
        for thread in threads:
            thread.start()
        self.clock.await_members(len(threads) + 1)
        self._began = time.thread_time()
        return threads

    def _live(self, worker: Worker) -> None:
        self.clock.join()
        try:
            before = time.thread_time()
            while worker.turn():
                now = time.thread_time()
                self._cpu_s += now - before
                before = now
        finally:
            self.clock.leave()

    def _cpu_so_far(self) -> float:
        return self._cpu_s + time.thread_time() - self._began

    def _turns(self, until: float) -> None:
        loop = self.agent.process.loop
        while self.clock.monotonic() < until:
            loop.turn()
            self.agent.process.heartbeat.beat_if_due(0)
            self.clock.wait(self.agent.context.stop, loop.period_s())

    def _recover(self) -> Optional[float]:
        """Seconds until a change after the repair was reported as done; ``None`` if it never is."""
        self.fabric.clear_faults()
        self.fabric.portal.update_settings(ECHO, {"echo": "after the outage"})
        since, began = len(self.agent.statuses), self.clock.monotonic()
        while self.clock.monotonic() < began + HOUR_S:
            self._turns(until=self.clock.monotonic() + 1)
            told = [s for s in self.agent.statuses[since:] if "after the outage" in str(s)]
            if told:
                return self.clock.monotonic() - began
        return None

    def _end(self, threads: list[threading.Thread]) -> None:
        self.agent.context.stop.set()
        for worker in self.agent.process.monitor.workers:
            worker.tell_to_stop()
        self.clock.leave()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive(), f"{thread.name} does not end"


class _Listener(logging.Handler):
    """Counts what the log would show."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """One more line."""
        self.count += 1


def play(case: Case, seconds: float = HOUR_S) -> Cost:
    """A machine of its own for one row."""
    with tempfile.TemporaryDirectory() as folder, Fabric() as fabric:
        return Hour(Path(folder), fabric).play(case, seconds)


def _most_within(moments: list[float], seconds: float) -> int:
    most, first = 0, 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def _longest_gap(moments: list[float]) -> float:
    return max(later - earlier for earlier, later in zip(moments, moments[1:]))
