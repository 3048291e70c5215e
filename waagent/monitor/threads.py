"""The four threads of this room with their work, for the child's main to start and stop."""

from __future__ import annotations

import logging

from waagent.core.context import Context
from waagent.core.records import dataclass
from waagent.core.workers import Worker
from waagent.monitor import collect, extension_events, heartbeat, resources, send
from waagent.monitor.collect import SpoolCollector, Tools
from waagent.monitor.extension_events import ExtensionEventsCollector
from waagent.monitor.heartbeat import HostHeartbeat, HttpErrorReport, ImdsHeartbeat
from waagent.monitor.outbox import Outbox
from waagent.monitor.resources import MemoryReport
from waagent.monitor.send import Sender, TelemetryServer
from waagent.protocol.exchange import IoErrors
from waagent.protocol.health_service import HealthService
from waagent.protocol.host import Host
from waagent.protocol.imds import Imds

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Peers:
    """Whom the monitor talks to."""

    server: TelemetryServer
    host: Host
    imds: Imds
    health: HealthService
    io_errors: IoErrors


@dataclass(frozen=True)
class Monitor:
    """The threads; ``finish`` is for when they have stopped."""

    workers: tuple[Worker, ...]
    sender: Sender

    def finish(self) -> None:
        """Leave what was not sent to the next process."""
        left = self.sender.give_back()
        if left:
            log.info("%d telemetry events are left for the next start", left)


def make_monitor(context: Context, peers: Peers) -> Monitor:
    """The threads under the names that logs have had since ever; nothing is started."""
    clock, events = context.system.clock, context.events
    outbox = Outbox()
    tools = Tools(events, outbox, clock, context.stop)
    sender = Sender(outbox, peers.server, events=events, clock=clock)
    beats = heartbeat.periodics(
        HostHeartbeat(peers.host, peers.health, events),
        ImdsHeartbeat(peers.imds, peers.health),
        HttpErrorReport(peers.io_errors, events),
    )
    memory = resources.periodics(MemoryReport(context.system, events))
    collecting = [
        *collect.periodics(SpoolCollector(context.paths.events, tools)),
        *extension_events.periodics(
            ExtensionEventsCollector(context.paths.extension_log, tools),
            period_s=context.conf.debug.etp_collection_period_s,
        ),
    ]
    return Monitor(
        (
            Worker(heartbeat.THREAD, [*beats, *memory], clock),
            Worker(send.THREAD, send.periodics(sender, outbox), clock),
            Worker(collect.THREAD, collecting, clock),
            Worker(heartbeat.SIGNALS_THREAD, heartbeat.signals(peers.health), clock),
        ),
        sender,
    )
