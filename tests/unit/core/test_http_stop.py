"""A request that is under way when the agent is told to stop: it ends at once."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.peer import LOOPBACK, PATIENCE_S, Answer, Peer, make_certificate, sends, whole
from waagent.core import signals
from waagent.core.clock import Stop, SystemClock
from waagent.core.errors import RequestStopped, Unreachable
from waagent.core.http import HttpTransport, Request
from waagent.core.proxy import ProxyRules

LONGEST_S = 1.0
MEBIBYTE = 1024 * 1024


def transport(stop: Stop, proxy: ProxyRules = ProxyRules()) -> HttpTransport:  # noqa: B008 - frozen
    """The real transport."""
    return HttpTransport(user_agent="agent", clock=SystemClock(), proxy=proxy, stop=stop)


def hangs(heard: threading.Event, *before: bytes) -> Answer:
    """Say something, then nothing any more, until the client leaves."""

    def answer(channel: socket.socket) -> None:
        for piece in before:
            channel.sendall(piece)
        heard.set()
        channel.recv(1)

    return answer


def seconds_to_end(
    agent: HttpTransport, request: Request, stop: Stop, go: threading.Event
) -> float:
    """How long the request still takes once the agent is told to stop."""
    told: list[float] = []

    def tell() -> None:
        go.wait(PATIENCE_S)
        told.append(time.monotonic())
        stop.set()

    teller = threading.Thread(target=tell)
    teller.start()
    try:
        with pytest.raises(RequestStopped, match="told to stop"):
            agent.send(request)
    finally:
        teller.join()
    return time.monotonic() - told[0]


@pytest.mark.parametrize(
    "before",
    [(), (b"HTTP/1.1 200",), (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",)],
    ids=["before the answer", "in the head", "in the body"],
)
def test_peer_that_hangs_does_not_hold_us(before: tuple[bytes, ...]) -> None:
    """Wherever in its answer."""
    stop, heard = Stop(), threading.Event()
    with Peer(hangs(heard, *before)) as peer:
        took_s = seconds_to_end(transport(stop), Request("GET", peer.url()), stop, heard)
    assert took_s < LONGEST_S


def test_download_that_never_pauses_does_not_hold_us() -> None:
    """There is always something to read, so nothing is waited for."""
    stop, heard = Stop(), threading.Event()

    def answer(channel: socket.socket) -> None:
        channel.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        heard.set()
        while True:
            channel.sendall(b"x" * MEBIBYTE)

    with Peer(answer) as peer, Path("/dev/null").open("wb") as sink:
        agent = transport(stop)

        def tell() -> None:
            heard.wait(PATIENCE_S)
            stop.set()

        teller = threading.Thread(target=tell)
        teller.start()
        with pytest.raises(RequestStopped):
            agent.send(Request("GET", peer.url()), sink)
        teller.join()


def test_peer_that_does_not_read_does_not_hold_us() -> None:
    """The body is larger than all the buffers on the way."""
    stop, go = Stop(), threading.Event()
    with socket.create_server((LOOPBACK, 0)) as listener:
        url = f"http://{LOOPBACK}:{listener.getsockname()[1]}/"
        request = Request("PUT", url, body=b"x" * (32 * MEBIBYTE))
        go.set()
        assert seconds_to_end(transport(stop), request, stop, go) < LONGEST_S


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose queue is full: the kernel drops who tries to connect."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex((LOOPBACK, port))
            waiting.append(one)
        yield port
        for one in waiting:
            one.close()


def test_peer_that_takes_no_connection_does_not_hold_us(full_port: int) -> None:
    """As behind a firewall that drops."""
    stop, go = Stop(), threading.Event()
    go.set()
    request = Request("GET", f"http://{LOOPBACK}:{full_port}/")
    assert seconds_to_end(transport(stop), request, stop, go) < LONGEST_S


def test_connection_that_nobody_takes_is_given_up_after_the_timeout(full_port: int) -> None:
    """Without anybody who says stop."""
    request = Request("GET", f"http://{LOOPBACK}:{full_port}/", timeout_s=0.1)
    with pytest.raises(Unreachable, match="timed out"):
        transport(Stop()).send(request)


def test_server_that_never_proves_who_it_is_does_not_hold_us() -> None:
    """It hears our hello, and says nothing."""
    stop, heard = Stop(), threading.Event()

    with socket.create_server((LOOPBACK, 0)) as listener:

        def accept() -> None:
            channel, _ = listener.accept()
            with channel:
                channel.recv(1)
                heard.set()
                while channel.recv(4096):
                    pass

        server = threading.Thread(target=accept)
        server.start()
        url = f"https://{LOOPBACK}:{listener.getsockname()[1]}/"
        took_s = seconds_to_end(transport(stop), Request("GET", url), stop, heard)
        server.join(PATIENCE_S)
    assert took_s < LONGEST_S


def test_proxy_that_hangs_does_not_hold_us() -> None:
    """Neither does it when it is asked for a tunnel."""
    stop, heard = Stop(), threading.Event()
    with Peer(hangs(heard)) as peer:
        agent = transport(stop, ProxyRules(LOOPBACK, peer.port))
        request = Request("GET", "https://storage.test/", via_proxy=True)
        assert seconds_to_end(agent, request, stop, heard) < LONGEST_S


def test_nothing_is_sent_once_the_agent_is_told_to_stop() -> None:
    """It would only hold the end."""
    stop = Stop()
    stop.set()
    with Peer(sends(whole())) as peer, pytest.raises(Unreachable, match="told to stop"):
        transport(stop).send(Request("GET", peer.url()))
    assert peer.requests == []


def test_signal_that_means_nothing_to_us_ends_no_request() -> None:
    """It wakes the wait, as every signal does that has a handler."""
    stop, go, asked = Stop(), threading.Event(), threading.Event()

    def answer(channel: socket.socket) -> None:
        asked.set()
        go.wait(PATIENCE_S)
        channel.sendall(whole(b"late"))

    def disturb() -> None:
        asked.wait(PATIENCE_S)
        os.kill(os.getpid(), signal.SIGUSR1)
        go.set()

    before = {n: signal.getsignal(n) for n in (*signals.TERMINATION, signal.SIGUSR1)}
    signals.stop_on(stop)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        with Peer(answer) as peer:
            assert transport(stop).send(Request("GET", peer.url())).body == b"late"
    finally:
        disturber.join()
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)


def test_large_body_arrives_whole_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In as many pieces as TLS and the kernel's buffers make of it."""
    authority, server = make_certificate(tmp_path, "storage.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    body = os.urandom(2 * MEBIBYTE)
    with Peer(sends(whole(body)), server) as peer:
        agent = HttpTransport(
            user_agent="agent",
            clock=SystemClock(),
            proxy=ProxyRules(),
            addresses={"storage.test:443": peer.address},
            stop=Stop(),
        )
        answer = agent.send(Request("PUT", "https://storage.test/", body=body))
    assert answer.body == body
    assert peer.requests[0].endswith(body)


def test_name_that_nobody_knows_is_unreachable() -> None:
    """The resolver is asked beside us, and its answer is an I/O error."""
    with pytest.raises(Unreachable, match="IOError"):
        transport(Stop()).send(Request("GET", "http://no-such-host.invalid/", timeout_s=2.0))


def test_name_is_resolved() -> None:
    """The one that every machine has."""
    with Peer(sends(whole(b"x"))) as peer:
        url = f"http://localhost:{peer.port}/"
        assert transport(Stop()).send(Request("GET", url)).body == b"x"
