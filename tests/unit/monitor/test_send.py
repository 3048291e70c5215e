"""The sender: batches, a pace that the endpoint bears, and no loss without a word."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.support.clock import ManualClock
from tests.support.spool import spooled
from tests.support.telemetry import TelemetryListener, tools
from tests.support.transport import ScriptedTransport, answers, stopped
from waagent.core.clock import MAX_WAIT_S
from waagent.core.errors import AgentError
from waagent.core.events import AGENT_PROVIDER, LOG_PROVIDER, Events, Op
from waagent.core.workers import Worker
from waagent.monitor.collect import SpoolCollector
from waagent.monitor.outbox import Outbox
from waagent.monitor.send import POSTS_A_TURN, Sender, periodics
from waagent.protocol.documents.telemetry import TelemetryEvent
from waagent.protocol.exchange import Exchange
from waagent.protocol.wire import Wire

ENDPOINT = "168.63.129.16"
URL = f"http://{ENDPOINT}/machine?comp=telemetrydata"


def event(text: str, provider: str = AGENT_PROVIDER) -> TelemetryEvent:
    """A small event."""
    return TelemetryEvent(1, provider, (("Name", "n"), ("Message", text)))


class Sending:
    """A sender between an outbox and a server."""

    def __init__(self, spool: Path) -> None:
        self.clock = ManualClock()
        self.spool = spool
        self.outbox = Outbox()
        self.server = TelemetryListener()
        self.events = Events(spool, self.clock)
        self.sender = Sender(self.outbox, self.server, events=self.events, clock=self.clock)

    def put(self, *events: TelemetryEvent) -> None:
        """Events in the outbox."""
        for one in events:
            self.outbox.put(one)


@pytest.fixture
def sending(tmp_path: Path) -> Sending:
    """Nothing to send yet."""
    return Sending(tmp_path / "events")


def test_events_flow_from_the_spool_to_the_wire_server_as_recorded(tmp_path: Path) -> None:
    """The whole way, with the real client: one POST, and the spool is empty."""
    collecting, clock = tools(tmp_path / "events")
    transport = ScriptedTransport({("POST", URL): answers()})
    wire = Wire(Exchange(transport, clock, endpoint=ENDPOINT), ENDPOINT, clock)
    collecting.events.add(Op.GOAL_STATE, "Fetch goal state from WireServer completed")
    collecting.events.add_metric("Memory", "Available Memory (MB)", "", 737.375)
    SpoolCollector(tmp_path / "events", collecting).collect()
    Sender(collecting.outbox, wire, events=collecting.events, clock=clock).send()
    (body,) = transport.bodies(URL)
    assert body.startswith(b'<?xml version="1.0"?><TelemetryData version="1.0"><Provider id="69B6')
    assert b'<Event id="1"><![CDATA[<Param Name="Name" Value="WALinuxAgent" T="mt:wstr" />' in body
    assert b'<Event id="4"><![CDATA[<Param Name="Category" Value="Memory" T="mt:wstr" />' in body
    assert b'<Param Name="Value" Value="737.375" T="mt:float64" />' in body
    assert dict(transport.sent[0].headers)["Content-Type"] == "text/xml;charset=utf-8"
    assert list((tmp_path / "events").iterdir()) == []


def test_each_provider_has_a_request_of_its_own(sending: Sending) -> None:
    """And all events arrive."""
    sending.put(event("a"), event("b", LOG_PROVIDER), event("c"))
    sending.sender.send()
    assert len(sending.server.bodies) == 2
    assert sorted(one["Message"] for one in sending.server.events()) == ["a", "b", "c"]
    assert (sending.sender.posted, sending.sender.lost) == (3, 0)


def test_nothing_is_posted_when_nothing_waits(sending: Sending) -> None:
    """And the thread sleeps until something does."""
    sending.sender.send()
    assert sending.server.bodies == []
    assert not sending.outbox.bell.answer()
    (periodic,) = periodics(sending.sender, sending.outbox)
    assert (periodic.every_s, periodic.bell) == (5.0, sending.outbox.bell)


def test_thread_wakes_for_events_and_waits_for_more_of_them(sending: Sending) -> None:
    """Five seconds, and as long between batches; then it sleeps again."""
    worker = Worker("x", periodics(sending.sender, sending.outbox), sending.clock)
    texts = [f"{number:02}" + "x" * 60000 for number in range(POSTS_A_TURN + 1)]
    sending.clock.at(7, lambda: sending.put(*map(event, texts)))
    start = sending.clock.monotonic()
    moments = []
    while len(sending.server.bodies) < len(texts):
        before = len(sending.server.bodies)
        assert worker.turn()
        if len(sending.server.bodies) > before:
            moments.append(sending.clock.monotonic() - start)
    assert moments == [12.0, 17.0]
    assert worker.turn()
    assert sending.clock.waits[-1] == MAX_WAIT_S


def test_many_batches_are_posted_a_few_at_a_time_in_order(sending: Sending) -> None:
    """The endpoint takes 15 requests in 15 seconds."""
    texts = [f"{number:02}" + "x" * 60000 for number in range(12)]
    sending.put(*map(event, texts))
    posted = []
    for _ in range(3):
        sending.sender.send()
        posted.append(len(sending.server.bodies))
    assert posted == [POSTS_A_TURN, 2 * POSTS_A_TURN, 12]
    assert [one["Message"] for one in sending.server.events()] == texts


def test_failed_request_loses_its_events_and_says_so(
    sending: Sending, caplog: pytest.LogCaptureFixture
) -> None:
    """Once in the log, and as an event that counts requests."""
    sending.server.error = AgentError("cannot post")
    sending.put(event("a"), event("b"), event("c", LOG_PROVIDER))
    with caplog.at_level(logging.WARNING, logger="waagent"):
        sending.sender.send()
    (told,) = spooled(sending.spool)
    assert (told["Operation"], told["OperationSuccess"]) == ("ReportEventErrors", False)
    assert told["Message"] == "DroppedEventsCount: 2\nReasons (first 5 errors): cannot post"
    assert (sending.sender.posted, sending.sender.lost) == (0, 3)
    assert "Lost 2 telemetry events: cannot post" in caplog.messages
    sending.server.error = None
    sending.sender.send()
    assert sending.server.bodies == []


def test_failed_request_does_not_stop_the_next_one(sending: Sending) -> None:
    """It may be the event in it that the fabric does not like."""
    sending.put(event("a"), event("b", LOG_PROVIDER))

    class Fussy(TelemetryListener):
        """Refuses the first provider."""

        def post_telemetry(self, body: bytes) -> None:
            """Refuse or take."""
            if AGENT_PROVIDER.encode() in body:
                raise AgentError("cannot take it")
            super().post_telemetry(body)

    fussy = Fussy()
    Sender(sending.outbox, fussy, events=sending.events, clock=sending.clock).send()
    assert [one["Message"] for one in fussy.events()] == ["b"]


def test_event_too_large_for_a_request_is_dropped_and_named_once_in_half_an_hour(
    sending: Sending, caplog: pytest.LogCaptureFixture
) -> None:
    """Those around it are sent."""
    with caplog.at_level(logging.WARNING, logger="waagent"):
        for _ in range(2):
            sending.put(event("before"), event("x" * 65000), event("after"))
            sending.sender.send()
    assert [one["Message"] for one in sending.server.events()] == ["before", "after"] * 2
    assert sending.sender.lost == 2
    assert len(caplog.messages) == 1
    assert "Name: n" in caplog.messages[0]


def test_what_waits_goes_back_to_the_spool_when_the_process_ends(sending: Sending) -> None:
    """The next process sends it, with the parameters it has."""
    sending.put(*[event(f"{number}" + "x" * 60000) for number in range(POSTS_A_TURN + 2)])
    sending.sender.send()
    sending.put(TelemetryEvent("1", LOG_PROVIDER, (("Message", "from XML"),)))
    assert sending.sender.give_back() == 3
    messages = [str(one["Message"]) for one in spooled(sending.spool)]
    assert [text[:8] for text in messages] == ["5xxxxxxx", "6xxxxxxx", "from XML"]
    assert sending.sender.give_back() == 0


def test_outbox_is_full_at_its_limit_and_empty_when_taken() -> None:
    """Collectors ask before they take a file away."""
    outbox = Outbox(2)
    outbox.put(event("a"))
    assert not outbox.is_full()
    outbox.put(event("b"))
    assert outbox.is_full()
    assert [one.value("Message") for one in outbox.take_all()] == ["a", "b"]
    assert (len(outbox), outbox.is_full()) == (0, False)


def test_batch_that_a_stop_interrupts_is_left_to_the_next_process(tmp_path: Path) -> None:
    """With all that waited behind it; it is no loss, and the fabric is told of none."""
    collecting, clock = tools(tmp_path / "events")
    transport = ScriptedTransport({("POST", URL): stopped()})
    wire = Wire(Exchange(transport, clock, endpoint=ENDPOINT), ENDPOINT, clock)
    sender = Sender(collecting.outbox, wire, events=collecting.events, clock=clock)
    for text in ("first", "second"):
        collecting.outbox.put(event(text))
    collecting.outbox.put(event("of another", LOG_PROVIDER))
    sender.send()
    assert (len(transport.sent), sender.posted, sender.lost) == (1, 0, 0)
    assert sender.give_back() == 3
    assert len(list((tmp_path / "events").iterdir())) == 3
