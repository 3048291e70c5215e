"""Post what is in the outbox: in batches by provider, not faster than the endpoint allows.

A batch that cannot be posted is lost, as its files are gone; it is counted and told. Source:
spec WIRE 8.3, EXT 9.7.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Protocol

from waagent.core.clock import Clock
from waagent.core.errors import AgentError, RequestStopped, describe
from waagent.core.events import Events, Op
from waagent.core.log import Quietly
from waagent.core.workers import Periodic
from waagent.monitor.losses import Losses
from waagent.monitor.outbox import Outbox
from waagent.protocol.documents.telemetry import Batch, TelemetryEvent, render_batches

log = logging.getLogger(__name__)

THREAD = "SendTelemetryHandler"
PERIOD_S = 5.0
POSTS_A_TURN = 5  # the endpoint takes 15 in 15 seconds
OVERSIZED_EVERY_S = 1800.0


class TelemetryServer(Protocol):
    """Takes one batch of events."""

    def post_telemetry(self, body: bytes) -> None:
        """Post; any failure is an ``AgentError``."""


class Sender:
    """Carries events from the outbox to the fabric."""

    def __init__(
        self, outbox: Outbox, server: TelemetryServer, *, events: Events, clock: Clock
    ) -> None:
        self._outbox = outbox
        self._server = server
        self._events = events
        self._waiting: deque[Batch] = deque()
        self._losses = Losses(Op.REPORT_EVENT_ERRORS)
        self._quietly = Quietly(clock, OVERSIZED_EVERY_S)
        self.posted = 0
        self.lost = 0

    def send(self) -> None:
        """Post some of what waits; the rest keeps its turn."""
        for _ in range(POSTS_A_TURN):
            if not self._waiting:
                self._fill()
            if not self._waiting:
                break
            batch = self._waiting.popleft()
            if not self._post(batch):
                self._waiting.appendleft(batch)  # to be left to the next process
                return
        if self._waiting or len(self._outbox):
            self._outbox.bell.ring()  # the rest has its turn after a pause
        self._losses.report(self._events)

    def give_back(self) -> int:
        """Put what waits into the spool again, for the next process; says how many events.

        For the end of the process, when neither collector nor sender should run any more; a
        sender that did not stop in time does no harm.
        """
        waiting = list(self._waiting)
        self._waiting.clear()
        events = [event for batch in waiting for event in batch.events]
        events += self._outbox.take_all()
        for event in events:
            self._events.write(int(event.event_id), event.provider, list(event.parameters))
        return len(events)

    def _fill(self) -> None:
        batches, oversized = render_batches(self._outbox.take_all())
        self._waiting.extend(batches)
        for event in oversized:
            self._drop(event)

    def _post(self, batch: Batch) -> bool:
        """Whether it is dealt with, one way or the other; not if the agent is told to stop."""
        try:
            self._server.post_telemetry(batch.body)
        except RequestStopped:
            return False
        except AgentError as error:
            self.lost += len(batch.events)
            self._losses.add(describe(error))
            log.warning("Lost %d telemetry events: %s", len(batch.events), describe(error))
        else:
            self.posted += len(batch.events)
        return True

    def _drop(self, event: TelemetryEvent) -> None:
        self.lost += 1
        what = event.describe()
        if self._quietly.may_say(what):
            log.warning("Dropped a telemetry event that is too large for a request: %s", what)


def periodics(sender: Sender, outbox: Outbox) -> list[Periodic]:
    """The work of the thread ``SendTelemetryHandler``: it sleeps while nothing is to be sent."""
    return [Periodic("send telemetry events", PERIOD_S, sender.send, bell=outbox.bell)]
