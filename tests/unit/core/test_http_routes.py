"""HTTP by other ways: through a proxy, and over TLS that proves whom we talk to."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Optional

import pytest

from tests.support.clock import ManualClock
from tests.support.peer import Peer, make_certificate, read_request, sends, whole
from waagent.core.context import Address
from waagent.core.errors import HttpError, Unreachable
from waagent.core.http import TRUST_S, HttpTransport, Request
from waagent.core.proxy import ProxyRules

NAME = "storage.test"
QUERY = "?sig=c2VjcmV0%3d"


def transport(
    *,
    addresses: Optional[dict[str, Address]] = None,
    proxy: Optional[Peer] = None,
    clock: Optional[ManualClock] = None,
) -> HttpTransport:
    """The real transport, with an address book and perhaps a proxy."""
    rules = ProxyRules("127.0.0.1", proxy.port) if proxy else ProxyRules()
    return HttpTransport(
        user_agent="agent", clock=clock or ManualClock(), proxy=rules, addresses=addresses
    )


def lines(request: bytes) -> list[str]:
    """The head of a request."""
    return request.partition(b"\r\n\r\n")[0].decode().split("\r\n")


def test_proxy_is_asked_for_the_absolute_url_as_it_stands() -> None:
    """The signature is over the escapes as they are; the host is the storage's."""
    with Peer(sends(whole(b"x", "201 Created"))) as proxy:
        request = Request("PUT", f"http://{NAME}/c%2fa/../b{QUERY}", body=b"data", via_proxy=True)
        response = transport(proxy=proxy).send(request)
    assert (response.status, response.body) == (201, b"x")
    (heard,) = proxy.requests
    assert lines(heard)[:2] == [
        f"PUT http://{NAME}:80/c%2fa/../b{QUERY} HTTP/1.1",
        f"Host: {NAME}",
    ]
    assert heard.endswith(b"\r\n\r\ndata")


def test_request_that_is_not_for_the_proxy_does_not_use_it() -> None:
    """The fabric's own addresses are never asked for elsewhere."""
    with Peer(sends(whole(b"direct"))) as peer, Peer(sends(whole(b"proxy"))) as proxy:
        book = {"fabric.test:80": peer.address}
        agent = transport(addresses=book, proxy=proxy)
        assert agent.send(Request("GET", "http://fabric.test/a")).body == b"direct"
    assert proxy.requests == []


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_environment_of_the_process_alone_sets_no_proxy(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the rules say counts, and nothing behind their back."""
    with Peer(sends(whole(b"direct"))) as peer, Peer(sends(whole(b"proxy"))) as proxy:
        monkeypatch.setenv(name, proxy.url())
        agent = transport(addresses={"fabric.test:80": peer.address})
        for via_proxy in (True, False):
            request = Request("GET", "http://fabric.test/", via_proxy=via_proxy)
            assert agent.send(request).body == b"direct"
    assert proxy.requests == []


def test_proxy_is_asked_for_a_tunnel_without_the_query_for_https() -> None:
    """It learns the name, not the signature; its refusal is no answer of the storage."""
    with (
        Peer(sends(whole(b"who are you", "407 Proxy Authentication Required"))) as proxy,
        pytest.raises(Unreachable) as caught,
    ):
        transport(proxy=proxy).send(
            Request("GET", f"https://{NAME}/a{QUERY}", via_proxy=True, timeout_s=5.0)
        )
    (heard,) = proxy.requests
    assert heard.startswith(f"CONNECT {NAME}:443 HTTP/1.".encode())
    assert b"sig" not in heard
    assert "407" in str(caught.value)
    assert "sig" not in str(caught.value)


def test_proxy_that_answers_a_byte_now_and_then_is_given_up() -> None:
    """It has no more time than a server."""
    clock = ManualClock()

    def answer(channel: socket.socket) -> None:
        channel.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            clock.advance(100.0)
            channel.sendall(b"x")

    with Peer(answer) as proxy, pytest.raises(Unreachable, match="longer than"):
        transport(proxy=proxy, clock=clock).send(
            Request("GET", f"https://{NAME}/", via_proxy=True, timeout_s=5.0)
        )


def test_tunnel_leads_to_the_server_that_proves_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate is the storage's, not the proxy's; the request is sent within."""
    authority, server = make_certificate(tmp_path, NAME)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    within: list[bytes] = []

    def tunnel(channel: socket.socket) -> None:
        channel.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with server.wrap_socket(channel, server_side=True) as inner:
            within.append(read_request(inner))
            inner.sendall(whole(b"x"))

    with Peer(tunnel) as proxy:
        request = Request("GET", f"https://{NAME}/a%2fb{QUERY}", via_proxy=True)
        assert transport(proxy=proxy).send(request).body == b"x"
    (heard,) = within
    assert lines(heard)[:2] == [f"GET /a%2fb{QUERY} HTTP/1.1", f"Host: {NAME}"]


def test_server_with_a_trusted_certificate_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name in the certificate is the URL's, wherever the address book leads."""
    authority, server = make_certificate(tmp_path, NAME)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with Peer(sends(whole(b"x")), server) as peer:
        agent = transport(addresses={f"{NAME}:443": peer.address})
        assert agent.send(Request("GET", f"https://{NAME}/a{QUERY}")).body == b"x"
    assert lines(peer.requests[0])[:2] == [f"GET /a{QUERY} HTTP/1.1", f"Host: {NAME}"]


def test_server_with_an_untrusted_certificate_is_not_asked(tmp_path: Path) -> None:
    """Nothing of the request is sent, and the error says why without its query."""
    _, server = make_certificate(tmp_path, NAME)
    with Peer(sends(whole(b"x")), server) as peer:
        agent = transport(addresses={f"{NAME}:443": peer.address})
        with pytest.raises(Unreachable, match=r"(?i)certificate.verify.failed") as caught:
            agent.send(Request("GET", f"https://{NAME}/a{QUERY}"))
    assert peer.requests == []
    assert "sig=" not in str(caught.value)


def test_server_with_the_certificate_of_another_name_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trusted, but for somebody else."""
    authority, server = make_certificate(tmp_path, "other.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with Peer(sends(whole(b"x")), server) as peer:
        agent = transport(addresses={f"{NAME}:443": peer.address})
        with pytest.raises(Unreachable, match=r"(?i)hostname mismatch|doesn't match"):
            agent.send(Request("GET", f"https://{NAME}/a{QUERY}"))
    assert peer.requests == []


def test_plain_server_is_not_asked_for_https() -> None:
    """There is no way back to plain text."""
    with Peer(sends(whole(b"x"))) as peer:
        agent = transport(addresses={f"{NAME}:443": peer.address})
        with pytest.raises(HttpError):
            agent.send(Request("GET", f"https://{NAME}/{QUERY}", timeout_s=0.2))
    assert not any(b"sig" in request for request in peer.requests)


def test_certificate_authorities_are_read_anew_after_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An administrator who installs one need not restart the agent."""
    authority, server = make_certificate(tmp_path, NAME)
    clock = ManualClock()
    with Peer(sends(whole(b"x")), server) as peer:
        agent = transport(addresses={f"{NAME}:443": peer.address}, clock=clock)
        request = Request("GET", f"https://{NAME}/")
        for passing in (TRUST_S - 1.0, 1.0):
            with pytest.raises(Unreachable):
                agent.send(request)
            monkeypatch.setenv("SSL_CERT_FILE", str(authority))
            clock.advance(passing)
        assert agent.send(request).body == b"x"
