"""HTTP: what is sent to the byte, and what becomes of answers, good and bad."""

from __future__ import annotations

import gzip
import io
import re
import socket
import threading
import tracemalloc
from pathlib import Path
from typing import Optional

import pytest

from tests.support.clock import ManualClock
from tests.support.peer import Answer, Peer, closed_port, resets, says_nothing, sends, whole
from waagent.core.clock import Clock, SystemClock
from waagent.core.context import Address
from waagent.core.errors import Garbled, GuestError, HttpError, Unreachable
from waagent.core.http import MAX_BODY, HttpTransport, Request
from waagent.core.proxy import ProxyRules

QUERY = "?sv=2021&sig=c2VjcmV0%3d"
MEBIBYTE = 1024 * 1024


def transport(
    addresses: Optional[dict[str, Address]] = None, clock: Optional[Clock] = None
) -> HttpTransport:
    """The real transport, with an address book."""
    return HttpTransport(
        user_agent="WALinuxAgent/1",
        clock=clock or SystemClock(),
        proxy=ProxyRules(),
        addresses=addresses,
    )


def sent(url: str, known_as: Optional[str] = None, **more: str) -> bytes:
    """What a peer hears when a URL is asked for; the peer has the name and port it is known as."""
    with Peer(sends(whole())) as peer:
        book = {known_as: peer.address} if known_as else {}
        request = Request("GET", url.replace("PEER", f"127.0.0.1:{peer.port}"), **more)  # type: ignore[arg-type]
        assert transport(book).send(request).status == 200
    (heard,) = peer.requests
    return heard


def failure(answer: Answer, clock: Optional[Clock] = None, timeout_s: float = 20.0) -> HttpError:
    """The error that an answer ends in; no error shows the query of the URL."""
    with Peer(answer) as peer, pytest.raises(HttpError) as caught:
        transport(clock=clock).send(Request("GET", peer.url(f"/c/b{QUERY}"), timeout_s=timeout_s))
    assert len(peer.requests) == 1
    assert caught.value.url == peer.url("/c/b")
    assert caught.value.method == "GET"
    assert "sig" not in str(caught.value)
    assert "c2Vj" not in str(caught.value)
    return caught.value


def header(heard: bytes, name: str) -> Optional[str]:
    """The value of a header that was sent."""
    found = re.search(rf"(?i)\r\n{name}: ([^\r]*)".encode(), heard)
    return found[1].decode() if found else None


def test_request_has_its_headers_in_the_order_of_the_recordings() -> None:
    """And none that nobody asked for."""
    with Peer(sends(whole(b"fine", "201 Created", "X-Ms-Version: 1"))) as peer:
        request = Request(
            "PUT", peer.url(f"/c{QUERY}"), (("x-ms-version", "2014"), ("x-b", "b")), b"body"
        )
        response = transport().send(request)
    assert peer.requests == [
        f"PUT /c{QUERY} HTTP/1.1\r\nHost: 127.0.0.1:{peer.port}\r\nAccept-Encoding: identity\r\n"
        "Content-Length: 4\r\nx-ms-version: 2014\r\nx-b: b\r\nConnection: close\r\n"
        "User-Agent: WALinuxAgent/1\r\n\r\nbody".encode()
    ]
    assert (response.status, response.reason, response.body) == (201, "Created", b"fine")
    assert response.header("x-ms-version") == response.header("X-MS-VERSION") == "1"
    assert response.header("missing") is None


def test_request_may_have_a_user_agent_of_its_own() -> None:
    """Health reports do."""
    assert header(sent("http://PEER/", user_agent="other"), "user-agent") == "other"


@pytest.mark.parametrize(
    ("url", "known_as", "host"),
    [
        ("http://fabric.test/a", "fabric.test:80", "fabric.test"),
        ("http://fabric.test:80/a", "fabric.test:80", "fabric.test"),
        ("http://fabric.test:32526/a", "fabric.test:32526", "fabric.test:32526"),
        ("http://[fd00::1]/a", "fd00::1:80", "[fd00::1]"),
        ("http://[fd00::1]:81/a", "fd00::1:81", "[fd00::1]:81"),
        ("http://user:word@fabric.test/a", "fabric.test:80", "fabric.test"),
    ],
)
def test_host_header_has_the_port_only_where_it_is_not_the_usual(
    url: str, known_as: str, host: str
) -> None:
    """The HostPlugin looks at it."""
    assert header(sent(url, known_as), "host") == host


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://PEER", "/"),
        ("http://PEER?a=b", "/?a=b"),
        ("http://PEER/a%2fb%c3%a9/../c/./d", "/a%2fb%c3%a9/../c/./d"),
        ("http://PEER/%41?sig=a%2b%3d/+~'!*()|{}^`\"<>\\&&=", None),
        ("http://PEER//a//b?x=?y=/z", "//a//b?x=?y=/z"),
        ("http://PEER/a?b#fragment", "/a?b"),
    ],
)
def test_target_is_sent_as_it_stands(url: str, target: Optional[str]) -> None:
    """A signature covers every byte of it: no escape is rewritten, no dot taken out."""
    expected = target or url.partition("PEER")[2]
    assert sent(url).splitlines()[0].decode() == f"GET {expected} HTTP/1.1"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_request_without_a_body_says_so_where_one_is_expected(method: str) -> None:
    """Some servers answer 411 otherwise."""
    with Peer(sends(whole())) as peer:
        transport().send(Request(method, peer.url()))
    assert header(peer.requests[0], "content-length") == "0"


def test_get_without_a_body_has_no_length() -> None:
    """As the recordings have it."""
    assert header(sent("http://PEER/"), "content-length") is None


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 P"])
def test_redirect_is_an_answer_and_not_followed(status: str) -> None:
    """Whoever redirects us would choose where secrets go."""
    with Peer(sends(whole(b"", status, "Location: /other"))) as peer:
        response = transport().send(Request("GET", peer.url()))
    assert (response.status, response.header("location")) == (int(status[:3]), "/other")
    assert len(peer.requests) == 1


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone", "429 Slow", "500 E", "503 Busy"])
def test_bad_status_is_an_answer_and_not_repeated(status: str) -> None:
    """What it means is for the caller to say."""
    retry = "Retry-After: 0"
    with Peer(sends(whole(b"why", status, retry))) as peer:
        response = transport().send(Request("GET", peer.url()))
    assert (response.status, response.body) == (int(status[:3]), b"why")
    assert len(peer.requests) == 1


def test_compressed_answer_is_left_as_it_is() -> None:
    """We asked for none, and a small one can become enormous."""
    body = gzip.compress(b"x" * 1000)
    with Peer(sends(whole(body, "200 OK", "Content-Encoding: gzip"))) as peer:
        assert transport().send(Request("GET", peer.url())).body == body


def test_chunked_answer_is_put_together() -> None:
    """As IMDS sends at times."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Peer(sends(head, b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n")) as peer:
        assert transport().send(Request("GET", peer.url())).body == b"abcde"


def test_answer_that_comes_byte_by_byte_is_put_together() -> None:
    """Networks cut where they like."""
    pieces = (bytes([byte]) for byte in whole(b"abc"))
    with Peer(sends(*pieces)) as peer:
        assert transport().send(Request("GET", peer.url())).body == b"abc"


def test_answer_without_a_length_ends_with_the_connection() -> None:
    """HTTP/1.0 servers do so."""
    with Peer(sends(b"HTTP/1.0 200 OK\r\n\r\nabc")) as peer:
        assert transport().send(Request("GET", peer.url())).body == b"abc"


PARTS = {
    "nothing": sends(),
    "status": sends(b"HTTP/1.1 200"),
    "header": sends(b"HTTP/1.1 200 OK\r\nContent-", b"Length: 1"),
    "head": sends(b"HTTP/1.1 200 OK\r\nX: y\r\n"),
    "length": sends(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!"),
    "chunk": sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
    "size": sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n"),
    "garbage": sends(b"\x00\xff\x16\x03\x01 no http at all\r\n\r\n"),
}


@pytest.mark.parametrize("answer", PARTS.values(), ids=PARTS.keys())
def test_answer_that_is_not_whole_may_be_better_the_next_time(answer: Answer) -> None:
    """The peer was there: that is no I/O error, and the text is what tools know."""
    error = failure(answer)
    assert isinstance(error, Garbled)
    assert str(error).startswith(f"[HTTP Failed] GET {error.url} -- HttpException ")


@pytest.mark.parametrize(
    "answer",
    [
        sends(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n"),
        sends(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"),
    ],
    ids=["a long header", "many headers"],
)
def test_answer_that_is_no_http_is_final(answer: Answer) -> None:
    """It would be the same the next time."""
    error = failure(answer)
    assert not isinstance(error, Unreachable)
    assert str(error).startswith(f"[HTTP Failed] GET {error.url} -- HttpException ")


def test_connection_that_is_reset_is_an_io_error() -> None:
    """And is counted as one."""
    error = failure(resets)
    assert isinstance(error, Unreachable)
    assert not isinstance(error, Garbled)
    assert str(error).startswith(f"[HTTP Failed] GET {error.url} -- IOError ")


def test_peer_that_says_nothing_is_given_up_after_the_timeout() -> None:
    """The kernel's own patience is hours."""
    assert "timed out" in str(failure(says_nothing, timeout_s=0.1))


def test_peer_that_stops_in_the_middle_is_given_up_after_the_timeout() -> None:
    """The time counts for each piece."""

    def answer(channel: socket.socket) -> None:
        channel.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!")
        says_nothing(channel)

    assert isinstance(failure(answer, timeout_s=0.1), Unreachable)


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"])
def test_peer_that_sends_a_byte_now_and_then_is_given_up(start: bytes) -> None:
    """In the head or in the body: no single wait is too long, all of them together are."""
    clock = ManualClock()

    def answer(channel: socket.socket) -> None:
        channel.sendall(start)
        while True:
            clock.advance(100.0)
            channel.sendall(b"x")

    assert isinstance(failure(answer, clock), Unreachable)


def test_nobody_at_the_port_is_unreachable() -> None:
    """Refused at once."""
    url = f"http://127.0.0.1:{closed_port()}/a"
    with pytest.raises(Unreachable, match=r"IOError .*Connection refused") as caught:
        transport().send(Request("GET", url + QUERY))
    assert caught.value.url == url
    assert "sig" not in str(caught.value)


def test_body_up_to_the_limit_is_taken() -> None:
    """The limit itself is allowed."""
    with Peer(sends(whole(b"x" * MAX_BODY))) as peer:
        assert len(transport().send(Request("GET", peer.url())).body) == MAX_BODY


@pytest.mark.parametrize("length", [f"Content-Length: {MAX_BODY + 1}", "X: until the end"])
def test_body_over_the_limit_is_an_error_that_is_not_tried_again(length: str) -> None:
    """It would be as large the next time."""
    error = failure(sends(f"HTTP/1.1 200 OK\r\n{length}\r\n\r\n".encode(), b"x" * (MAX_BODY + 1)))
    assert not isinstance(error, Unreachable)
    assert f"it is larger than {MAX_BODY} bytes" in str(error)


def test_head_without_end_is_given_up() -> None:
    """Interim answers may come in any number."""

    def answer(channel: socket.socket) -> None:
        while True:
            channel.sendall(b"HTTP/1.1 100 Continue\r\nX: " + b"y" * 30_000 + b"\r\n\r\n")

    assert "without end" in str(failure(answer))


def test_sink_takes_a_success_without_filling_the_memory() -> None:
    """A package of any size on a machine with little."""

    def answer(channel: socket.socket) -> None:
        channel.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {48 * MEBIBYTE}\r\n\r\n".encode())
        block = b"x" * 65536
        for _ in range(48 * 16):
            channel.sendall(block)

    with Peer(answer) as peer, Path("/dev/null").open("wb") as sink:
        tracemalloc.start()
        try:
            response = transport().send(Request("GET", peer.url()), sink)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert (response.status, response.body) == (200, b"")
    assert peak < 2 * MEBIBYTE


def test_sink_takes_no_error_page() -> None:
    """It is told in the answer."""
    sink = io.BytesIO()
    with Peer(sends(whole(b"why", "404 Not Found"))) as peer:
        assert transport().send(Request("GET", peer.url()), sink).body == b"why"
    assert sink.getvalue() == b""


def test_sink_that_is_full_is_no_fault_of_the_network() -> None:
    """Trying again would not help."""
    with (
        Peer(sends(whole(b"x"))) as peer,
        pytest.raises(GuestError, match=r"^cannot store .*No space left.*; is the disk full\?$"),
        open("/dev/full", "wb", buffering=0) as full,  # noqa: PTH123 - a device, unbuffered
    ):
        transport().send(Request("GET", peer.url()), full)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://fabric.test/a",
        "file:///etc/shadow",
        "/only/a/path",
        "http:///no-host",
        "http://fabric.test:99999/a",
        "http://fabric.test:port/a",
        "http://[fd00::1/a",
        f"http://{'a' * 64}.test/a",
        "http://fabric..test/a",
        "http://127.0.0.1:1/a b",
        "http://127.0.0.1:1/é",
        "http://127.0.0.1:1/a\r\nX-Evil: 1",
        "http://user:word@127.0.0.1:1/\x00",
    ],
)
def test_url_that_cannot_be_sent_is_an_error_without_its_query(url: str) -> None:
    """And no network fault: it would be as wrong the next time."""
    with pytest.raises(HttpError, match=r"^cannot send GET ") as caught:
        transport().send(Request("GET", url + QUERY, timeout_s=0.5))
    assert not isinstance(caught.value, Unreachable)
    for text in (str(caught.value), caught.value.url):
        assert "c2Vj" not in text
        assert "word" not in text


def test_header_that_would_forge_another_is_refused() -> None:
    """Header values come from documents."""
    with Peer(sends(whole())) as peer, pytest.raises(HttpError, match=r"^cannot send"):
        transport().send(Request("GET", peer.url(), (("x-a", "1\r\nx-evil: 1"),)))
    assert not any(b"x-evil" in request for request in peer.requests)


def test_sends_leave_no_descriptor_behind() -> None:
    """Each request has a connection of its own, and it is closed."""
    agent = transport()
    folder = Path("/proc/self/fd")
    with Peer(sends(whole(b"x"))) as good, Peer(resets) as bad:
        before = len(list(folder.iterdir()))
        for _ in range(5):
            agent.send(Request("GET", good.url()))
            with pytest.raises(Unreachable):
                agent.send(Request("GET", bad.url()))
        with pytest.raises(Unreachable):
            agent.send(Request("GET", f"http://127.0.0.1:{closed_port()}/"))
    # The two listeners are gone by now.
    assert len(list(folder.iterdir())) == before - 2


def test_transport_is_shared_by_threads() -> None:
    """Workers have one between them."""
    agent = transport()
    seen: list[bytes] = []
    with Peer(sends(whole(b"x"))) as peer:
        threads = [
            threading.Thread(
                target=lambda: seen.append(agent.send(Request("GET", peer.url())).body)
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen == [b"x"] * 8
