"""The monitor's threads put together: their names, their work, and what is left at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.machine import Machine
from tests.support.spool import operations
from tests.support.telemetry import TelemetryListener
from tests.support.transport import ScriptedTransport, answers
from waagent.core.clock import Stop
from waagent.core.conf import Conf
from waagent.core.context import Context
from waagent.core.events import Events, Op
from waagent.core.paths import make_paths
from waagent.core.workers import Worker
from waagent.monitor.threads import Monitor, Peers, make_monitor
from waagent.protocol.exchange import Exchange
from waagent.protocol.health_service import HealthService
from waagent.protocol.host import Host
from waagent.protocol.hostplugin import HostPlugin
from waagent.protocol.imds import Imds
from waagent.protocol.wire import Wire

ENDPOINT = "168.63.129.16"


class Child:
    """An agent's child with a monitor; only the health service may be told something."""

    def __init__(self, root: Path) -> None:
        guest = Machine().boot(root)
        conf = Conf()
        paths = make_paths(guest.system, conf)
        self.spool = paths.events
        self.events = Events(paths.events, guest.clock)
        self.server = TelemetryListener()
        self.transport = ScriptedTransport(
            {("POST", f"http://{ENDPOINT}/HealthService"): answers()}
        )
        exchange = Exchange(self.transport, guest.clock, endpoint=ENDPOINT)
        self.health = health = HealthService(
            exchange, ENDPOINT, events=self.events, clock=guest.clock
        )
        plugin = HostPlugin(exchange, ENDPOINT)
        host = Host(Wire(exchange, ENDPOINT, guest.clock), plugin, self.events, health.observe)
        context = Context(guest.system, conf, paths, self.events, Stop())
        peers = Peers(self.server, host, Imds(exchange), health, exchange.io_errors)
        self.monitor: Monitor = make_monitor(context, peers)

    def worker(self, name: str) -> Worker:
        """A thread by its name."""
        return next(worker for worker in self.monitor.workers if worker.name == name)


@pytest.fixture
def child(tmp_path: Path) -> Child:
    """A child that has just started."""
    return Child(tmp_path)


def test_threads_have_the_names_that_logs_have_always_had(child: Child) -> None:
    """Support filters by them."""
    assert [worker.name for worker in child.monitor.workers] == [
        "MonitorHandler",
        "SendTelemetryHandler",
        "TelemetryEventsCollector",
        "HealthServiceHandler",
    ]


def test_signal_is_told_by_a_thread_of_its_own(child: Child) -> None:
    """So that a service that is down holds up nothing else."""
    child.health.observe("GuestAgentPluginVersions", True)
    assert child.transport.sent == []
    assert child.worker("HealthServiceHandler").turn()
    assert child.worker("HealthServiceHandler").turn()
    assert [request.url for request in child.transport.sent] == [f"http://{ENDPOINT}/HealthService"]


def test_event_travels_from_the_spool_to_the_server_through_two_threads(child: Child) -> None:
    """One turn of each."""
    child.events.add(Op.GOAL_STATE, "on its way")
    assert child.worker("TelemetryEventsCollector").turn()
    assert operations(child.spool) == []
    assert child.worker("SendTelemetryHandler").turn()
    assert [event["Message"] for event in child.server.events()] == ["on its way"]


def test_event_that_was_not_sent_is_left_to_the_next_process(child: Child) -> None:
    """Nothing is lost when the agent is restarted."""
    child.events.add(Op.GOAL_STATE)
    child.worker("TelemetryEventsCollector").turn()
    child.monitor.finish()
    assert operations(child.spool) == ["GoalState"]
