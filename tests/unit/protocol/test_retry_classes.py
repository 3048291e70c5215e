"""Each request of the agent under each kind of failure: attempts, pauses, time, proxy (WIRE 12)."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Callable, NamedTuple

import pytest

from tests.support.transport import Reply, answers, garbled, no_answer
from tests.unit.protocol.world import PLUGIN, WIRE, World
from waagent.core.errors import AgentError
from waagent.core.http import Request
from waagent.protocol.hostplugin import HostIdentity
from waagent.protocol.session import Session
from waagent.protocol.storage import BlobRequest

US = HostIdentity("container", "deployment.config")
BLOB = "https://acct.blob.core.windows.net/c/b"
METADATA = "http://169.254.169.254/metadata"
FIBONACCI = [2.0, 3.0, 5.0, 8.0, 13.0]


class Class(NamedTuple):
    """A retry class of the table: attempts and pauses when it fails, and when it is throttled."""

    attempts: int
    pauses: list[float]
    throttled: int
    throttled_pause: float
    takes_400_again: bool = False


D = Class(6, FIBONACCI, 25, 1.0)
D400 = Class(6, FIBONACCI, 25, 1.0, takes_400_again=True)
H = Class(30, [30.0, 45.0, 75.0, 120.0, 195.0, 315.0, 510.0], 30, 1.0)
T = Class(3, [2.0, 3.0], 3, 8.0)
ONE = Class(1, [], 25, 1.0)
RAW = Class(1, [], 1, 0.0)


class Call(NamedTuple):
    """One request of the table of every URL."""

    method: str
    url: str
    do: Callable[[Session], object]
    kind: Class
    timeout_s: float = 10.0
    via_proxy: bool = False


def post_signal(session: Session) -> None:
    """One observation for the health service."""
    session.health.observe("x", True)
    session.health.post_waiting()


CALLS = {
    "versions": Call("GET", f"{WIRE}/?comp=versions", lambda s: s.wire.fetch_versions(), D),
    "goal state": Call(
        "GET", f"{WIRE}/machine/?comp=goalstate", lambda s: s.wire.fetch_goal_state(), D
    ),
    "document": Call("GET", f"{WIRE}/d", lambda s: s.wire.fetch_document(f"{WIRE}/d"), D),
    "certificates": Call(
        "GET", f"{WIRE}/c", lambda s: s.wire.fetch_sealed(f"{WIRE}/c", "MII", "AES128_CBC"), D
    ),
    "health": Call("POST", f"{WIRE}/machine?comp=health", lambda s: s.wire.post_health(b"x"), H),
    "telemetry": Call(
        "POST", f"{WIRE}/machine?comp=telemetrydata", lambda s: s.wire.post_telemetry(b"x"), T
    ),
    "health service": Call(
        "POST",
        f"{WIRE}/HealthService",
        post_signal,
        D,
    ),
    "plugin's versions": Call(
        "GET", f"{PLUGIN}/versions", lambda s: s.host.plugin.fetch_versions(US), D
    ),
    "plugin's health": Call("GET", f"{PLUGIN}/health", lambda s: s.host.plugin.fetch_health(), ONE),
    "vmSettings": Call(
        "GET",
        f"{PLUGIN}/vmSettings",
        lambda s: s.host.plugin.fetch_vm_settings(US, "id", None),
        RAW,
    ),
    "text through the host": Call(
        "GET", f"{PLUGIN}/extensionArtifact", lambda s: s.host.plugin.fetch_artifact(US, BLOB), D400
    ),
    "zip through the host": Call(
        "GET",
        f"{PLUGIN}/extensionArtifact",
        lambda s: s.host.plugin.fetch_artifact(US, BLOB, sink=io.BytesIO()),
        D,
    ),
    "status through the host": Call(
        "PUT",
        f"{PLUGIN}/status",
        lambda s: s.host.plugin.put_status(US, BlobRequest(BLOB, (), b"{}")),
        D,
    ),
    "log": Call(
        "PUT", f"{PLUGIN}/vmAgentLog", lambda s: s.host.plugin.put_log(US, b"zip"), D, 30.0
    ),
    "download": Call(
        "GET",
        BLOB,
        lambda s: s.exchange.send(Request("GET", BLOB, via_proxy=True)),
        D,
        via_proxy=True,
    ),
    "compute": Call(
        "GET",
        f"{METADATA}/instance/compute?api-version=2018-02-01",
        lambda s: s.imds.fetch_compute(),
        D,
    ),
    "metadata": Call(
        "GET", f"{METADATA}/instance?api-version=2018-02-01", lambda s: s.imds.probe(), D
    ),
}


def failed(root: Path, call: Call, reply: Reply) -> World:
    """The world after a call whose peer always says the same."""
    world = World(root, {(call.method, call.url): reply})
    with contextlib.suppress(AgentError):
        call.do(world.session)
    return world


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("status", [205, 206, 500, 501, 502, 504, 507])
def test_passing_failure_is_tried_again_as_the_request_is_worth(
    tmp_path: Path, call: Call, status: int
) -> None:
    """Attempts and pauses of its class."""
    world = failed(tmp_path, call, answers(status))
    assert world.asked((call.method, call.url)) == call.kind.attempts
    known = call.kind.pauses
    assert world.clock.waits[: len(known)] == known
    assert len(world.clock.waits) == call.kind.attempts - 1


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("status", [403, 429, 503])
def test_throttling_peer_is_asked_at_the_pace_of_the_request(
    tmp_path: Path, call: Call, status: int
) -> None:
    """25 times a second apart; telemetry, which is worth less, three times."""
    world = failed(tmp_path, call, answers(status))
    assert world.asked((call.method, call.url)) == call.kind.throttled
    assert world.clock.waits == [call.kind.throttled_pause] * (call.kind.throttled - 1)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("silence", [no_answer, garbled], ids=["no answer", "no whole answer"])
def test_silence_is_tried_again_as_the_request_is_worth(
    tmp_path: Path, call: Call, silence: Callable[[], Reply]
) -> None:
    """As a passing failure."""
    world = failed(tmp_path, call, silence())
    assert world.asked((call.method, call.url)) == call.kind.attempts


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("status", [304, 401, 404, 409, 410, 505])
def test_final_answer_is_not_asked_for_again(tmp_path: Path, call: Call, status: int) -> None:
    """Whatever the request."""
    world = failed(tmp_path, call, answers(status))
    assert world.asked((call.method, call.url)) == 1
    assert world.clock.waits == []


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_bad_request_is_asked_again_only_for_texts_through_the_host(
    tmp_path: Path, call: Call
) -> None:
    """Whose cache may be stale."""
    world = failed(tmp_path, call, answers(400))
    expected = call.kind.attempts if call.kind.takes_400_again else 1
    assert world.asked((call.method, call.url)) == expected


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_request_has_its_time_and_uses_a_proxy_only_for_storage(tmp_path: Path, call: Call) -> None:
    """Ten seconds for each step; log archives have thirty."""
    world = failed(tmp_path, call, answers(404))
    (sent,) = (r for r in world.transport.sent if (r.method, r.url) == (call.method, call.url))
    assert (sent.timeout_s, sent.via_proxy) == (call.timeout_s, call.via_proxy)
