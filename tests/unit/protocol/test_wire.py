"""The wire server's requests: headers, and what an answer that is no success becomes (WIRE 2)."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest

from tests.support.transport import Reply, answers, no_answer
from tests.unit.protocol.world import GOAL_STATE, WIRE, World, goal_state
from waagent.protocol.errors import ProtocolFault, StaleGoalState
from waagent.protocol.wire import Wire, one_line_certificate

DOCUMENT = f"{WIRE}:80/machine/c/a%2Db.%5Fvm?comp=config&type=sharedConfig&incarnation=1"
PLAIN = {"x-ms-agent-name": "WALinuxAgent", "x-ms-version": "2012-11-30"}
POSTED = {**PLAIN, "Content-Type": "text/xml;charset=utf-8"}
SEALED = {
    **PLAIN,
    "x-ms-guest-agent-public-x509-cert": "CERT",
    "x-ms-cipher-name": "AES128_CBC",
}
HALF = (
    b"<GoalState><Incarnation>7</Incarnation><Container><ContainerId>c</ContainerId>"
    b"</Container></GoalState>"
)

REQUESTS: dict[str, tuple[tuple[str, str], Callable[[Wire], object], dict[str, str]]] = {
    "versions": (("GET", f"{WIRE}/?comp=versions"), lambda wire: wire.fetch_versions(), {}),
    "document": (("GET", DOCUMENT), lambda wire: wire.fetch_document(DOCUMENT), PLAIN),
    "sealed": (
        ("GET", DOCUMENT),
        lambda wire: wire.fetch_sealed(DOCUMENT, "CERT", "AES128_CBC"),
        SEALED,
    ),
    "health": (
        ("POST", f"{WIRE}/machine?comp=health"),
        lambda wire: wire.post_health(b"<Health/>"),
        POSTED,
    ),
    "telemetry": (
        ("POST", f"{WIRE}/machine?comp=telemetrydata"),
        lambda wire: wire.post_telemetry(b"<TelemetryData/>"),
        POSTED,
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_each_request_has_its_own_set_of_headers_and_no_proxy(tmp_path: Path, name: str) -> None:
    key, send, headers = REQUESTS[name]
    world = World(tmp_path, {key: answers(200)})
    send(world.session.wire)
    (sent,) = world.transport.sent
    assert dict(sent.headers) == headers
    assert not sent.via_proxy
    assert sent.timeout_s == 10
    assert sent.url == key[1], "escapes are sent as they came"


def test_goal_state_is_asked_for_with_plain_headers(tmp_path: Path) -> None:
    world = World(tmp_path, {})
    parsed, raw = world.session.wire.fetch_goal_state()
    assert parsed.incarnation == "1"
    assert raw == goal_state()
    assert world.headers(GOAL_STATE) == PLAIN


@pytest.mark.parametrize(
    "reply",
    [answers(404), answers(400, b"InvalidContainerConfiguration"), no_answer(DOCUMENT)],
    ids=["404", "container", "silence"],
)
def test_what_is_no_success_is_a_fault_of_the_protocol(tmp_path: Path, reply: Reply) -> None:
    world = World(tmp_path, {("GET", DOCUMENT): reply})
    with pytest.raises(ProtocolFault) as caught:
        world.session.wire.fetch_document(DOCUMENT)
    assert caught.value.for_fabric().startswith("[ProtocolError] [Wireserver Exception] [")


def test_gone_passes_unchanged(tmp_path: Path) -> None:
    world = World(tmp_path, {("GET", DOCUMENT): answers(410)})
    with pytest.raises(StaleGoalState):
        world.session.wire.fetch_document(DOCUMENT)


def test_goal_state_without_role_instance_is_asked_for_six_times(tmp_path: Path) -> None:
    world = World(tmp_path, {GOAL_STATE: answers(200, HALF)})
    with pytest.raises(
        ProtocolFault, match=r"Fetched goal state without a RoleInstance \[incarnation 7\]"
    ):
        world.session.wire.fetch_goal_state()
    assert world.asked(GOAL_STATE) == 6
    assert world.clock.waits == [0.5] * 6


def test_waiting_for_a_role_instance_ends_when_told_to_stop(tmp_path: Path) -> None:
    world = World(tmp_path, {GOAL_STATE: answers(200, HALF)})
    world.context.stop.set()
    with pytest.raises(ProtocolFault):
        world.session.wire.fetch_goal_state()
    assert world.asked(GOAL_STATE) == 1


def test_certificate_of_several_lines_becomes_one() -> None:
    pem = "Bag Attributes: ----\n-----BEGIN CERTIFICATE-----\nAA\nBB==\n-----END CERTIFICATE-----"
    assert one_line_certificate(pem) == "AABB=="


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (
            answers(404, b"why"),
            f"[ProtocolError] [Wireserver Failed] URI {DOCUMENT}  [HTTP Failed] Status Code 404 b",
        ),
        (
            answers(400, b"InvalidContainerConfiguration"),
            "[InvalidContainerError] [HTTP Failed] [400: OK] b'InvalidContainerConfiguration'",
        ),
        (answers(500), "[HttpError] [HTTP Retry] GET "),
    ],
    ids=["final", "container", "exhausted"],
)
def test_fault_is_told_in_the_words_that_tools_know(
    tmp_path: Path, reply: Reply, words: str
) -> None:
    world = World(tmp_path, {("GET", DOCUMENT): reply})
    with pytest.raises(ProtocolFault) as caught:
        world.session.wire.fetch_document(DOCUMENT)
    assert caught.value.message.startswith(f"[Wireserver Exception] {words}")
