"""What each answer means, and the exact waits in between (WIRE 2.7 and 2.8)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Union

import pytest

from tests.support.clock import ManualClock
from tests.support.transport import Reply, ScriptedTransport, answers, garbled, no_answer, stopped
from waagent.core.clock import Stop
from waagent.core.errors import HttpError, HttpStatus, RequestStopped, Unreachable
from waagent.core.http import Request, Response
from waagent.core.retry import Policy
from waagent.protocol import exchange
from waagent.protocol.errors import InvalidContainer, StaleGoalState, Throttled
from waagent.protocol.exchange import Exchange, find_sample

URL = "http://168.63.129.16/machine?comp=x&sig=secret"
STALE = b'{ "errorCode": "InvalidContainerConfiguration", "message": "Invalid request." }'


class Peer:
    """An exchange with a scripted peer."""

    def __init__(self, replies: Union[Reply, Sequence[Reply]], *, stop: bool = False) -> None:
        self.transport = ScriptedTransport({("GET", URL): replies})
        self.clock = ManualClock()
        self.stop = Stop()
        if stop:
            self.stop.set()
        self.exchange = Exchange(
            self.transport, self.clock, endpoint="168.63.129.16", stop=self.stop
        )

    def ask(
        self, policy: Policy = exchange.DEFAULT, again: frozenset[int] = exchange.AGAIN
    ) -> Response:
        """Send the one request."""
        return self.exchange.send(Request("GET", URL), policy=policy, again=again)

    def fail(
        self, policy: Policy = exchange.DEFAULT, again: frozenset[int] = exchange.AGAIN
    ) -> HttpError:
        """Send it, and have the error."""
        with pytest.raises(HttpError) as caught:
            self.ask(policy, again)
        return caught.value

    @property
    def attempts(self) -> int:
        """How often the peer was asked."""
        return len(self.transport.sent)


@pytest.mark.parametrize("status", [200, 201, 202])
def test_success_is_returned_at_once(status: int) -> None:
    peer = Peer(answers(status, b"body"))
    assert peer.ask().body == b"body"
    assert peer.clock.waits == []


@pytest.mark.parametrize("status", [205, 206, 500, 501, 502, 504, 507])
def test_passing_failure_is_tried_six_times_with_growing_waits(status: int) -> None:
    peer = Peer(answers(status))
    error = peer.fail()
    assert peer.clock.waits == [2, 3, 5, 8, 13]
    assert isinstance(error, HttpStatus)
    assert error.status == status
    assert str(error) == (
        f"[HTTP Retry] GET http://168.63.129.16/machine -- Status Code {status} -- 6 attempts made"
    )


@pytest.mark.parametrize("status", [403, 429, 503])
def test_throttling_peer_is_asked_25_times_a_second_apart(status: int) -> None:
    peer = Peer(answers(status))
    error = peer.fail()
    assert isinstance(error, Throttled)
    assert peer.clock.waits == [1.0] * 24
    assert str(error).endswith(" -- 25 attempts made")


def test_throttling_counts_for_the_rest_of_the_request() -> None:
    peer = Peer([answers(500), answers(429), answers(500), no_answer(), answers()])
    assert peer.ask().status == 200
    assert peer.clock.waits == [2, 1, 1, 1]


def test_single_attempt_becomes_25_when_throttled_but_not_for_telemetry() -> None:
    peer = Peer(answers(503))
    assert str(peer.fail(exchange.ONE)).endswith(" -- 25 attempts made")
    peer = Peer(answers(503))
    assert str(peer.fail(exchange.TELEMETRY)).endswith(" -- 3 attempts made")
    assert peer.clock.waits == [8.0, 8.0]


def test_single_attempt_is_one() -> None:
    peer = Peer(answers(500))
    assert str(peer.fail(exchange.ONE)).endswith(" -- 1 attempts made")
    assert peer.clock.waits == []


def test_health_is_patient() -> None:
    peer = Peer(answers(500))
    peer.fail(exchange.HEALTH)
    assert peer.attempts == 30
    assert peer.clock.waits[:4] == [30, 45, 75, 120]


def test_unreachable_peer_is_tried_again_and_counted() -> None:
    peer = Peer([no_answer(URL), no_answer(URL), answers()])
    assert peer.ask().status == 200
    assert peer.clock.waits == [2, 3]
    assert peer.exchange.io_errors.take() == {"hostplugin": 0, "protocol": 2, "other": 0}
    assert peer.exchange.io_errors.take() == {"hostplugin": 0, "protocol": 0, "other": 0}


def test_peer_that_is_cut_short_is_tried_again_and_is_no_io_error() -> None:
    peer = Peer([garbled(URL), answers()])
    assert peer.ask().status == 200
    assert peer.clock.waits == [2]
    assert not any(peer.exchange.io_errors.take().values())


def test_request_that_a_stop_ends_is_no_io_error() -> None:
    peer = Peer(stopped(URL))
    assert isinstance(peer.fail(), RequestStopped)
    assert (peer.attempts, peer.clock.waits) == (1, [])
    assert not any(peer.exchange.io_errors.take().values())


def test_request_that_cannot_be_better_the_next_time_is_sent_once() -> None:
    peer = Peer(HttpError("[HTTP Failed] GET http://x/ -- HttpException got more than 100 headers"))
    assert "attempts" not in str(peer.fail())
    assert peer.attempts == 1


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://168.63.129.16:32526/status", "hostplugin"),
        ("http://168.63.129.16/machine", "protocol"),
        ("https://acct.blob.core.windows.net/x", "other"),
        ("http://169.254.169.254/metadata", "other"),
    ],
)
def test_unreachable_peers_are_counted_apart(url: str, kind: str) -> None:
    transport = ScriptedTransport({("GET", url): no_answer(url)})
    one = Exchange(transport, ManualClock(), endpoint="168.63.129.16")
    with pytest.raises(Unreachable):
        one.send(Request("GET", url))
    assert {name for name, count in one.io_errors.take().items() if count == 6} == {kind}


def test_gone_is_final_and_has_its_own_class() -> None:
    peer = Peer(answers(410, b"gone", reason="Gone"))
    error = peer.fail()
    assert type(error) is StaleGoalState
    assert peer.attempts == 1
    assert error.for_fabric() == "[ResourceGoneError] [HTTP Failed] [410: Gone] b'gone'"


def test_invalid_container_is_final_unless_400_is_to_be_tried_again() -> None:
    peer = Peer(answers(400, STALE))
    error = peer.fail()
    assert isinstance(error, InvalidContainer)
    assert error.for_fabric().startswith("[InvalidContainerError] [HTTP Failed] [400: ")
    peer = Peer(answers(400, STALE))
    error = peer.fail(again=exchange.AGAIN_WITH_400)
    assert not isinstance(error, StaleGoalState)
    assert peer.attempts == 6


@pytest.mark.parametrize("status", [204, 301, 304, 400, 401, 404, 409, 418, 505])
def test_other_answers_are_final_as_they_come(status: int) -> None:
    peer = Peer(answers(status, b"why", reason="Because"))
    error = peer.fail()
    assert peer.attempts == 1
    assert str(error) == f"[HTTP Failed] [{status}: Because] b'why'"


def test_start_of_a_long_answer_is_enough() -> None:
    assert len(str(Peer(answers(404, b"x" * 100_000)).fail())) < 1200


def test_waiting_ends_when_told_to_stop() -> None:
    peer = Peer(answers(500), stop=True)
    peer.fail()
    assert peer.attempts == 1


def test_sink_holds_only_the_last_attempt() -> None:
    transport = ScriptedTransport({("GET", URL): [answers(500, b"error"), answers(200, b"good")]})
    sink = io.BytesIO(b"an earlier, longer attempt")
    one = Exchange(transport, ManualClock(), endpoint="168.63.129.16")
    one.send(Request("GET", URL), sink=sink)
    assert sink.getvalue() == b"good"


def test_no_text_of_an_error_has_the_token() -> None:
    for reply in (answers(500), answers(404), answers(410), answers(429), no_answer("http://x/")):
        error = Peer(reply).fail()
        assert "secret" not in str(error)
        assert "secret" not in error.url


@pytest.mark.parametrize(
    ("status", "sample"),
    [(404, True), (505, False), (502, None), (500, None), (429, None), (410, None)],
)
def test_only_an_answer_that_was_taken_as_it_came_is_a_sample(
    status: int, sample: Union[bool, None]
) -> None:
    assert find_sample(Peer(answers(status)).fail()) is sample


def test_bad_gateway_that_is_final_is_not_the_fault_of_the_host() -> None:
    assert find_sample(Peer(answers(502)).fail(again=frozenset())) is True
    assert find_sample(Peer(no_answer(URL)).fail()) is None


@pytest.mark.parametrize(
    ("url", "is_proxied"),
    [
        ("https://acct.blob.core.windows.net/x", True),
        ("http://168.63.129.16/manifest.xml", False),
        ("http://168.63.129.16:32526/x", False),
        ("http://169.254.169.254/x", False),
        ("http://10.0.0.9/x", False),
    ],
)
def test_proxy_is_for_storage_and_never_for_the_platform_whoever_names_it(
    url: str, is_proxied: bool
) -> None:
    transport = ScriptedTransport({("GET", url): answers()})
    one = Exchange(transport, ManualClock(), endpoint="10.0.0.9")
    one.send(Request("GET", url, via_proxy=True))
    assert [sent.via_proxy for sent in transport.sent] == [is_proxied]


def test_one_attempt_is_an_answer_of_any_status_and_silence_is_counted() -> None:
    peer = Peer([answers(503), no_answer(URL)])
    assert peer.exchange.send_once(Request("GET", URL)).status == 503
    with pytest.raises(Unreachable):
        peer.exchange.send_once(Request("GET", URL))
    assert peer.clock.waits == []
    assert peer.exchange.io_errors.take()["protocol"] == 1
