"""HTTP as values: ``Transport.send(Request) -> Response`` over urllib3, one connection a request.

Bodies are bounded, redirects are never followed, platform addresses never use a proxy.
Source: spec WIRE 2.2 (headers), 2.5 (requests), 2.6 (proxy), 2.7 (outcome).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Optional, Protocol
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError

from waagent.core.clock import Clock
from waagent.core.context import Address
from waagent.core.errors import GuestError, HttpError, Unreachable
from waagent.core.proxy import ProxyRules
from waagent.core.redact import without_query

MAX_BODY = 16 * 1024 * 1024
MAX_DOWNLOAD = 2 * 1024 * 1024 * 1024
CHUNK = 1024 * 1024
SLOWEST_S = 300.0
BLOCK = 64 * 1024


@dataclass(frozen=True)
class Request:
    """What is sent: headers in the order they should have, beyond those of every request."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: Optional[bytes] = field(default=None, repr=False)
    timeout_s: float = 10.0
    via_proxy: bool = False
    user_agent: Optional[str] = None


@dataclass(frozen=True)
class Response:
    """What came back; ``body`` is empty where it was streamed into a sink."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> Optional[str]:
        """A header's value, whatever the case of its name."""
        wanted = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == wanted), None)


class Transport(Protocol):
    """Sends requests; the real one, or one that a test scripts."""

    def send(self, request: Request, sink: Optional[BinaryIO] = None) -> Response:
        """One request, one answer of whatever status; a sink takes the body of a success.

        Raises ``Unreachable`` when there is no whole answer, ``HttpError`` for a request that
        cannot be sent or an answer that is too large.
        """


class UrllibTransport:
    """The real transport; ``addresses`` says where a ``host:port`` really is (for tests)."""

    def __init__(
        self,
        *,
        user_agent: str,
        clock: Clock,
        proxy: ProxyRules,
        addresses: Optional[Mapping[str, Address]] = None,
    ) -> None:
        self._user_agent = user_agent
        self._clock = clock
        self._proxy = proxy
        self._addresses = dict(addresses or {})

    def send(self, request: Request, sink: Optional[BinaryIO] = None) -> Response:
        """See ``Transport.send``; no status is retried here."""
        where = {"method": request.method, "url": without_query(request.url)}
        try:
            return self._exchange(request, sink)
        except (HTTPError, OSError) as error:
            raise Unreachable(
                f"[HTTP Failed] {request.method} {where['url']} -- IOError {_why(error)}", **where
            ) from error
        except (LocationParseError, ValueError) as error:
            raise HttpError(
                f"cannot send {request.method} {where['url']}: {error}; is the URL right?", **where
            ) from error

    def _exchange(self, request: Request, sink: Optional[BinaryIO]) -> Response:
        parts = urlsplit(request.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("only http and https URLs are known")
        pool, target = self._pool(request)
        pool.ConnectionCls = _verbatim(pool.ConnectionCls, target)
        with pool:
            answer = pool.urlopen(
                request.method,
                target,
                body=request.body,
                headers=self._headers(request),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
                assert_same_host=False,
                timeout=urllib3.Timeout(connect=request.timeout_s, read=request.timeout_s),
            )
            try:
                body = self._read(answer, sink)
            finally:
                answer.close()
        return Response(answer.status, answer.reason or "", dict(answer.headers.items()), body)

    def _pool(self, request: Request) -> tuple[urllib3.HTTPConnectionPool, str]:
        """A pool for this one request, and the request target on it."""
        parts = urlsplit(request.url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        target = parts.path or "/"
        if parts.query:
            target += f"?{parts.query}"
        proxy = self._proxy.choose(request.url) if request.via_proxy else None
        if proxy is not None:
            manager = urllib3.ProxyManager(proxy)
            pool = manager.connection_from_url(request.url)
            absolute = f"{parts.scheme}://{parts.hostname}:{port}{target}"
            return pool, absolute if parts.scheme == "http" else target
        real_host, real_port = self._addresses.get(f"{host}:{port}", (host, port))
        if parts.scheme == "https":
            return urllib3.HTTPSConnectionPool(
                real_host, real_port, server_hostname=host, assert_hostname=host
            ), target
        return urllib3.HTTPConnectionPool(real_host, real_port), target

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {"Host": urlsplit(request.url).netloc.rpartition("@")[2]}
        if headers["Host"].endswith(":80") and request.url.startswith("http:"):
            headers["Host"] = headers["Host"][: -len(":80")]
        headers["Accept-Encoding"] = "identity"
        headers.update(request.headers)
        headers["Connection"] = "close"
        headers["User-Agent"] = request.user_agent or self._user_agent
        return headers

    def _read(self, answer: urllib3.BaseHTTPResponse, sink: Optional[BinaryIO]) -> bytes:
        """The body in bounded pieces, within a bounded time; into the sink if it is a success."""
        streaming = sink is not None and answer.status in (200, 201, 202)
        limit = MAX_DOWNLOAD if streaming else MAX_BODY
        deadline = self._clock.monotonic() + SLOWEST_S
        collected = bytearray()
        size = 0
        for piece in answer.stream(BLOCK, decode_content=False):
            size += len(piece)
            if size > limit:
                raise ValueError(f"the answer is larger than {limit} bytes")
            if self._clock.monotonic() > deadline:
                raise TimeoutError(f"the answer took longer than {SLOWEST_S:g} s")
            if streaming and sink is not None:
                _store(sink, piece)
            else:
                collected += piece
        expected = answer.headers.get("Content-Length")
        if expected is not None and expected.isdigit() and size < int(expected):
            raise ConnectionError(f"the answer was cut short: {size} of {expected} bytes")
        return bytes(collected)


def _verbatim(connection: Any, target: str) -> Any:
    """The connection class, but sending the target as it stands.

    urllib3 would normalise it, and a signed URL must not change (spec WIRE 3.1, 2.5).
    """

    class Verbatim(connection):  # type: ignore[misc]
        def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
            del url
            super().putrequest(method, target, *args, **kwargs)

    return Verbatim


def _store(sink: BinaryIO, piece: bytes) -> None:
    """Write to the sink; a full disk is no fault of the network and must not be retried."""
    try:
        sink.write(piece)
    except OSError as error:
        raise GuestError(f"cannot store what was downloaded: {error}; is the disk full?") from error


def _why(error: Exception) -> str:
    cause = error.__cause__ or error.__context__
    if isinstance(error, HTTPError) and isinstance(cause, OSError) and str(cause):
        return str(cause)
    return without_query(str(error))
