"""Signs of life: the agent's line that tools look for, and looks at host and metadata service."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.clock import ManualClock
from tests.support.golden import recorded
from tests.support.spool import operations, spooled
from tests.support.transport import ScriptedTransport, answers, no_answer
from waagent.core.errors import Unreachable
from waagent.core.events import Events
from waagent.core.http import Request
from waagent.core.retry import Policy
from waagent.monitor.heartbeat import (
    AgentHeartbeat,
    HostHeartbeat,
    HttpErrorReport,
    ImdsHeartbeat,
    periodics,
)
from waagent.protocol.exchange import Exchange
from waagent.protocol.health_service import HealthService
from waagent.protocol.host import Host
from waagent.protocol.hostplugin import HostPlugin
from waagent.protocol.imds import Imds
from waagent.protocol.wire import Wire

ENDPOINT = "168.63.129.16"
GOAL_STATE = f"http://{ENDPOINT}/machine/?comp=goalstate"
VERSIONS = f"http://{ENDPOINT}:32526/versions"
HEALTH = f"http://{ENDPOINT}:32526/health"
HEALTH_SERVICE = f"http://{ENDPOINT}/HealthService"
IMDS = "http://169.254.169.254/metadata/instance?api-version=2018-02-01"

DOCUMENT = (
    b"<GoalState><Version>2012-11-30</Version><Incarnation>1</Incarnation><Container>"
    b"<ContainerId>c1</ContainerId><RoleInstanceList><RoleInstance><InstanceId>i</InstanceId>"
    b"<Configuration><HostingEnvironmentConfig>http://h/</HostingEnvironmentConfig>"
    b"<SharedConfig>http://s/</SharedConfig><ConfigName>d.1.xml</ConfigName></Configuration>"
    b"</RoleInstance>"
    b"</RoleInstanceList></Container></GoalState>"
)
METADATA = json.dumps(
    {
        "network": {
            "interface": [
                {"macAddress": "00", "ipv4": {"ipAddress": [{"privateIpAddress": "10.0.0.4"}]}}
            ]
        }
    }
).encode()


class Looking:
    """A host and a metadata service to look at, with answers by URL."""

    def __init__(self, spool: Path, **changes: Any) -> None:
        self.spool = spool
        self.clock = ManualClock()
        self.events = Events(spool, self.clock)
        self.transport = ScriptedTransport(
            {
                ("GET", GOAL_STATE): changes.get("goal_state", answers(body=DOCUMENT)),
                ("GET", VERSIONS): changes.get("versions", answers(body=b'["2015-09-01"]')),
                ("GET", HEALTH): changes.get("health", answers()),
                ("GET", IMDS): changes.get("imds", answers(body=METADATA)),
                ("POST", HEALTH_SERVICE): answers(),
            }
        )
        exchange = Exchange(self.transport, self.clock, endpoint=ENDPOINT)
        self.exchange = exchange
        wire = Wire(exchange, ENDPOINT, self.clock)
        self.health = HealthService(exchange, ENDPOINT, events=self.events, clock=self.clock)
        plugin = HostPlugin(exchange, ENDPOINT)
        host = Host(wire, plugin, self.events, self.health.observe)
        self.host = HostHeartbeat(host, self.health, self.events)
        self.imds = ImdsHeartbeat(Imds(exchange), self.health)
        self.http_errors = HttpErrorReport(exchange.io_errors, self.events)

    def signals(self, name: str) -> list[tuple[bool, str]]:
        """Health and value of each observation of that name."""
        self.health.post_waiting()  # a thread of its own does
        bodies = (json.loads(body) for body in self.transport.bodies(HEALTH_SERVICE))
        found = [one for body in bodies for one in body["Observations"]]
        return [(o["IsHealthy"], o["Value"]) for o in found if o["ObservationName"] == name]

    def urls(self) -> list[str]:
        """What was asked for, in order."""
        return [request.url for request in self.transport.sent]


def heartbeat(events: Events, clock: ManualClock) -> AgentHeartbeat:
    """The heartbeat of an agent that does not update itself."""
    return AgentHeartbeat(events, clock, auto_update=False, update_mode=lambda: "SelfUpdate")


def test_agent_says_in_the_exact_line_that_it_is_in_charge(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Log and event have the same text; monitoring looks for it."""
    clock = ManualClock()
    events = Events(tmp_path, clock)
    agent = AgentHeartbeat(
        events, clock, auto_update=True, update_mode=lambda: "RSM", version="9.9.9.9"
    )
    with caplog.at_level(logging.INFO, logger="waagent"):
        assert agent.beat_if_due(3)
    (line,) = caplog.messages
    pattern = (
        r"\[HEARTBEAT\] Agent WALinuxAgent-9\.9\.9\.9 is running as the goal state agent "
        r"\[DEBUG (HeartbeatCounter: 0;HeartbeatId: [0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12};"
        r"UpdateGSErrors: 3;AutoUpdate: 1;UpdateMode: RSM;)\]"
    )
    match = re.fullmatch(pattern, line)
    assert match
    (event,) = spooled(tmp_path)
    assert (event["Operation"], event["OperationSuccess"]) == ("HeartBeat", True)
    assert (event["Message"], event["Version"]) == (match[1], "9.9.9.9")


def test_agent_heartbeat_is_due_at_once_and_then_every_half_hour(tmp_path: Path) -> None:
    """The counter goes on, the id stays."""
    clock = ManualClock()
    agent = heartbeat(Events(tmp_path, clock), clock)
    told = []
    for _ in range(12):
        told.append(agent.beat_if_due(0))
        clock.advance(300)
    assert told == ([True] + [False] * 5) * 2
    first, second = (str(event["Message"]) for event in spooled(tmp_path))
    assert first.replace("Counter: 0", "Counter: 1") == second


def test_recorded_agent_heartbeat_has_the_same_fields(tmp_path: Path) -> None:
    """As far as the recording shows it."""
    clock = ManualClock()
    heartbeat(Events(tmp_path, clock), clock).beat_if_due(0)
    (event,) = spooled(tmp_path)
    messages = {
        one["params"]["Message"]
        for request in recorded("wire.telemetry")
        for one in request["body_events"]["events"]
        if one["params"].get("Operation") == "HeartBeat"
    }
    assert messages
    for message in messages:
        shown = re.sub(r"\{GUID_\d+\}", "G", message.replace("{...}", ""))
        ours = re.sub(r"[0-9A-F-]{36}", "G", str(event["Message"]))
        assert ours.startswith(shown)


def test_look_at_the_host_asks_in_the_recorded_order_and_tells_that_it_is_well(
    tmp_path: Path,
) -> None:
    """Versions only the first time; another thread tells."""
    looking = Looking(tmp_path)
    looking.host.beat()
    assert looking.urls() == [GOAL_STATE, VERSIONS, GOAL_STATE, HEALTH]
    looking.host.beat()
    assert looking.urls()[4:] == [GOAL_STATE, HEALTH]
    assert looking.signals("GuestAgentPluginHeartbeat") == [(True, ""), (True, "")]


@pytest.mark.parametrize("reply", [answers(500), answers(505), no_answer()])
def test_host_that_is_unwell_for_five_minutes_is_told_and_reported(
    tmp_path: Path, reply: Any
) -> None:
    """Before that its signal stays good."""
    looking = Looking(tmp_path, health=reply)
    for _ in range(6):
        looking.host.beat()
        looking.clock.advance(60)
    healthy = [is_healthy for is_healthy, _ in looking.signals("GuestAgentPluginHeartbeat")]
    assert healthy == [True] * 5 + [False]
    told = [e for e in spooled(tmp_path) if e["Operation"] == "HostPluginHeartbeatExtended"]
    assert [event["Message"] for event in told] == ["5 min since successful heartbeat"]


@pytest.mark.parametrize(
    "changes",
    [
        {"versions": answers(body=b'["2016-01-01"]')},
        {"versions": answers(404)},
        {"goal_state": [answers(body=DOCUMENT), answers(404)]},
    ],
)
def test_look_that_fails_before_the_question_is_no_sample(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Its own event says so; the host is not to blame."""
    looking = Looking(tmp_path, **changes)
    looking.host.beat()
    assert HEALTH not in looking.urls()
    assert looking.signals("GuestAgentPluginHeartbeat") == []
    assert operations(tmp_path)[-1] == "HostPluginHeartbeat"


def test_look_at_the_metadata_service_tells_what_it_found(tmp_path: Path) -> None:
    """The request's agent says that it is only a look."""
    looking = Looking(tmp_path)
    looking.imds.beat()
    assert looking.urls() == [IMDS]
    assert (looking.transport.sent[0].user_agent or "").endswith("+health")
    assert looking.signals("InstanceMetadataHeartbeat") == [(True, "")]


def test_metadata_service_that_is_broken_for_three_minutes_is_told(tmp_path: Path) -> None:
    """With what is wrong from the beginning."""
    looking = Looking(tmp_path, imds=answers(body=b"{}"))
    for _ in range(4):
        looking.imds.beat()
        looking.clock.advance(60)
    told = looking.signals("InstanceMetadataHeartbeat")
    assert told == [(True, "Missing field: [network]")] * 3 + [(False, "Missing field: [network]")]


def test_requests_without_answer_are_told_by_peer_and_counted_anew(tmp_path: Path) -> None:
    """Nothing is said when all were answered."""
    looking = Looking(tmp_path, health=no_answer(), imds=no_answer())
    looking.http_errors.report()
    assert spooled(tmp_path) == []
    once = Policy(attempts=1)
    for url in (HEALTH, IMDS, IMDS):
        with pytest.raises(Unreachable):
            looking.exchange.send(Request("GET", url), policy=once)
    looking.http_errors.report()
    looking.http_errors.report()
    (event,) = spooled(tmp_path)
    assert (event["Operation"], event["OperationSuccess"]) == ("HttpErrors", True)
    assert event["Message"] == "hostplugin:1;protocol:0;other:2"


def test_looks_are_taken_every_minute(tmp_path: Path) -> None:
    """And HTTP errors told every half hour."""
    looking = Looking(tmp_path)
    found = periodics(looking.host, looking.imds, looking.http_errors)
    assert sorted(periodic.every_s for periodic in found) == [60.0, 60.0, 1800.0]
