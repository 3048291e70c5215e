"""Peers without end: they flood, dribble or do not read, and are given up before we are."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from typing import Optional

import pytest

from tests.support.clock import ManualClock
from tests.support.peer import PATIENCE_S, Answer, Peer
from waagent.core.clock import Clock, SystemClock
from waagent.core.connection import SLOWEST_BYTES_S, SLOWEST_S, Budget
from waagent.core.errors import HttpError, Unreachable
from waagent.core.http import BLOCK, HttpTransport, Request
from waagent.core.proxy import ProxyRules

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


class HastyClock(ManualClock):
    """Ten seconds pass whenever somebody looks."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        self.advance(10.0)
        return super().monotonic()


def forever(start: bytes, piece: bytes, pause_s: float = 0.0) -> Answer:
    """Send the start, then the piece again and again, until the client has enough."""
    never = threading.Event()

    def answer(channel: socket.socket) -> None:
        channel.sendall(start)
        for _ in itertools.repeat(None):
            never.wait(pause_s)
            channel.sendall(piece)

    return answer


def ask(answer: Answer, clock: Optional[Clock] = None) -> None:
    """One request to a peer that answers so."""
    with Peer(answer) as peer:
        transport(clock).send(Request("GET", peer.url("/a?sig=secret")))


def transport(clock: Optional[Clock] = None) -> HttpTransport:
    """The real one."""
    return HttpTransport(user_agent="x", clock=clock or SystemClock(), proxy=ProxyRules())


FLOODS = {
    "header line": (OK + b"X: ", b"x" * BLOCK),
    "headers": (OK, b"X: y\r\n" * 1000),
    "status line": (b"HTTP/1.1 ", b"2" * BLOCK),
    "chunk size": (CHUNKED, b"0" * BLOCK),
    "body": (OK + b"\r\n", b"x" * BLOCK),
    "chunks": (CHUNKED, (b"400\r\n" + b"x" * 0x400 + b"\r\n") * 64),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\nX: " + b"y" * 4000 + b"\r\n\r\n"),
}


@pytest.mark.parametrize(("start", "piece"), FLOODS.values(), ids=FLOODS.keys())
def test_peer_that_sends_without_end_is_given_up_before_the_memory_is(
    start: bytes, piece: bytes
) -> None:
    """Wherever in an answer there is no end."""
    with pytest.raises(HttpError) as caught:
        ask(forever(start, piece))
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 1000


DRIBBLES = {
    "headers": (OK + b"X: ", b"x"),
    "body": (OK + b"Content-Length: 1000000\r\n\r\n", b"x"),
    "chunks": (CHUNKED, b"1\r\nx\r\n"),
    "chunk size": (CHUNKED, b"0"),
}


@pytest.mark.parametrize(("start", "piece"), DRIBBLES.values(), ids=DRIBBLES.keys())
def test_peer_that_dribbles_is_given_up_when_its_time_is_over(start: bytes, piece: bytes) -> None:
    """Each byte comes soon enough, all of them never; the reason is told."""
    with pytest.raises(Unreachable, match=f"it took longer than {SLOWEST_S:g} s"):
        ask(forever(start, piece, 0.005), clock=HastyClock())


def test_peer_that_does_not_read_is_given_up_within_the_requests_time() -> None:
    """The request is larger than all the buffers on the way."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        request = Request("PUT", url, body=b"x" * 30_000_000, timeout_s=0.2)
        started = time.monotonic()
        with pytest.raises(Unreachable, match="timed out"):
            transport().send(request)
    assert time.monotonic() - started < PATIENCE_S / 2


def test_download_has_more_time_the_more_it_brings() -> None:
    """As long as it is not slower than the least that is allowed."""
    clock = ManualClock()
    budget = Budget(clock, bytes_at_most=10**9)
    for _ in range(100):
        clock.advance(10.0)
        assert budget.patience(5.0) == 5.0
        budget.spend(10 * SLOWEST_BYTES_S)
    clock.advance(SLOWEST_S - 1.0)
    assert budget.patience(5.0) == pytest.approx(1.0)
    clock.advance(2.0)
    with pytest.raises(TimeoutError, match="longer than"):
        budget.patience(5.0)
