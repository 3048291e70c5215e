"""Observations for the host: what is sent, when a signal turns bad, and how often."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Optional

import pytest

from tests.support.clock import ManualClock
from tests.support.golden import recorded
from tests.support.spool import spooled
from tests.support.transport import ScriptedTransport, answers, no_answer
from waagent.core.events import Events
from waagent.protocol.exchange import Exchange
from waagent.protocol.health_service import (
    HOST_ARTIFACT,
    HOST_HEARTBEAT,
    HOST_STATUS,
    HOST_VERSIONS,
    IMDS_HEARTBEAT,
    HealthService,
    Observation,
    render_report,
)

ENDPOINT = "168.63.129.16"
URL = f"http://{ENDPOINT}/HealthService"


class Host:
    """A health service whose reports can be looked at."""

    def __init__(self, spool: Path, reply: Any = None) -> None:
        self.clock = ManualClock()
        self.transport = ScriptedTransport({("POST", URL): reply or answers()})
        self.events = Events(spool, self.clock)
        self.spool = spool
        exchange = Exchange(self.transport, self.clock, endpoint=ENDPOINT)
        self.service = HealthService(exchange, ENDPOINT, events=self.events, clock=self.clock)

    def reported(self) -> list[tuple[str, bool, str]]:
        """Name, health and value of each observation that was posted."""
        self.service.post_waiting()
        bodies = (json.loads(body) for body in self.transport.bodies(URL))
        observations = [one for body in bodies for one in body["Observations"]]
        return [(one["ObservationName"], one["IsHealthy"], one["Value"]) for one in observations]


def test_reports_of_a_first_boot_are_as_recorded(tmp_path: Path) -> None:
    """Body and headers; the order of keys too."""
    requests = list(recorded("wire.healthservice", "01-provision.jsonl"))
    assert requests
    host = Host(tmp_path / "events")
    for request in requests:
        (wanted,) = request["body_json"]["Observations"]
        observation = Observation(
            wanted["ObservationName"], wanted["IsHealthy"], wanted["Description"], wanted["Value"]
        )
        assert render_report((observation,)) == json.dumps(request["body_json"]).encode()
        host.clock.advance(60)
        host.service.observe(
            observation.name, observation.is_healthy, observation.description, observation.value
        )
        host.service.post_waiting()
        own = [tuple(header) for header in request["headers"] if header[0] == "Content-Type"]
        assert list(host.transport.sent[-1].headers) == own
    assert host.transport.bodies(URL) == [json.dumps(r["body_json"]).encode() for r in requests]


def test_texts_are_cut_to_what_the_service_takes_and_lose_their_tokens() -> None:
    """64, 128 and 128 characters."""
    leak = "https://a.blob.core.windows.net/x?sig=secret" + "x" * 200
    (shown,) = json.loads(render_report((Observation("n" * 99, True, "d" * 199, leak),)))[
        "Observations"
    ]
    lengths = {key: len(value) for key, value in shown.items() if key != "IsHealthy"}
    assert lengths["ObservationName"] == 64
    assert lengths["Description"] == 128
    assert lengths["Value"] <= 128
    assert "secret" not in shown["Value"]


@pytest.mark.parametrize(
    ("name", "patience_s"),
    [(HOST_HEARTBEAT, 300), (IMDS_HEARTBEAT, 180), (HOST_STATUS, 300), (HOST_ARTIFACT, 300)],
)
def test_signal_turns_bad_only_when_no_sample_was_good_for_its_patience(
    tmp_path: Path, name: str, patience_s: int
) -> None:
    """A single failure is no news."""
    host = Host(tmp_path / "events")
    for _ in range(patience_s // 60 + 1):
        host.service.observe(name, False, "", "why")
        host.clock.advance(60)
    assert [healthy for _, healthy, _ in host.reported()] == [True] * (patience_s // 60) + [False]


def test_good_sample_makes_a_signal_good_at_once_and_starts_the_patience_anew(
    tmp_path: Path,
) -> None:
    """Also after a long time of bad ones."""
    host = Host(tmp_path / "events")
    for is_healthy in (False, False, True, False):
        host.service.observe(HOST_HEARTBEAT, is_healthy)
        host.clock.advance(400)
    assert [healthy for _, healthy, _ in host.reported()] == [True, False, True, True]


def test_versions_signal_has_no_patience(tmp_path: Path) -> None:
    """A plugin that does not speak our version is news at once."""
    host = Host(tmp_path / "events")
    host.service.observe(HOST_VERSIONS, False, "", "why")
    assert host.reported() == [(HOST_VERSIONS, False, "why")]


@pytest.mark.parametrize("name", [HOST_STATUS, HOST_ARTIFACT])
def test_frequent_samples_are_sent_once_a_minute_for_each_kind(tmp_path: Path, name: str) -> None:
    """Status is uploaded every six seconds."""
    host = Host(tmp_path / "events")
    for _ in range(20):
        host.service.observe(name, True)
        host.clock.advance(6)
    host.service.observe(HOST_VERSIONS, True)
    assert [told for told, _, _ in host.reported()] == [name, name, HOST_VERSIONS]


def test_samples_between_two_reports_count_for_the_patience(tmp_path: Path) -> None:
    """What is not sent is not forgotten."""
    host = Host(tmp_path / "events")
    host.service.observe(HOST_STATUS, True)
    host.clock.advance(1)
    host.service.observe(HOST_STATUS, False)
    host.clock.advance(300)
    host.service.observe(HOST_STATUS, False)
    assert [healthy for _, healthy, _ in host.reported()] == [True, False]


@pytest.mark.parametrize(("after_s", "expected"), [(0, None), (299, None), (300, 300.0)])
def test_bad_time_is_told_once_it_is_beyond_the_patience(
    tmp_path: Path, after_s: int, expected: Optional[float]
) -> None:
    """For the event that says since when."""
    host = Host(tmp_path / "events")
    assert host.service.bad_for_s(HOST_HEARTBEAT) is None
    host.service.observe(HOST_HEARTBEAT, False)
    host.clock.advance(after_s)
    assert host.service.bad_for_s(HOST_HEARTBEAT) == expected


def test_bad_signal_is_an_event_too(tmp_path: Path) -> None:
    """With the observation as its message."""
    host = Host(tmp_path / "events")
    host.service.observe(HOST_VERSIONS, True)
    host.service.observe(HOST_VERSIONS, False, "", "why")
    (event,) = spooled(host.spool)
    assert (event["Operation"], event["OperationSuccess"]) == ("HealthObservation", False)
    assert json.loads(event["Message"])["Value"] == "why"


@pytest.mark.parametrize(
    "reply", [answers(410, b"", "Gone"), answers(404), answers(500), no_answer()]
)
def test_report_that_fails_is_only_logged(tmp_path: Path, reply: Any) -> None:
    """Nobody may be stopped by a service that only looks on."""
    host = Host(tmp_path / "events", reply)
    host.service.observe(HOST_VERSIONS, True)
    host.service.post_waiting()
    assert host.transport.sent


def test_sample_is_taken_in_without_a_word_to_the_service(tmp_path: Path) -> None:
    """Which may be down for minutes; a thread of its own is rung for."""
    host = Host(tmp_path / "events", no_answer())
    host.service.observe(HOST_VERSIONS, True)
    assert host.transport.sent == []
    assert host.clock.waits == []
    assert host.service.bell.answer()
    host.service.post_waiting()
    assert len(host.transport.sent) == 6
    assert not host.service.bell.answer()


def test_what_waits_for_a_service_that_is_down_is_bounded_and_the_newest_stay(
    tmp_path: Path,
) -> None:
    """Ten, as the protocol has it."""
    host = Host(tmp_path / "events")
    for number in range(25):
        host.service.observe(HOST_VERSIONS, True, "", str(number))
    assert [value for _, _, value in host.reported()] == [str(n) for n in range(15, 25)]


def test_service_that_is_down_is_told_of_once_an_hour(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not with each signal of each minute."""
    host = Host(tmp_path / "events", answers(404))
    for _ in range(20):
        host.service.observe(HOST_HEARTBEAT, True)
        host.service.post_waiting()
        host.clock.advance(60)
    assert len(caplog.records) == 1
