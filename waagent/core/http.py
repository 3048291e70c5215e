"""HTTP as values: ``Transport.send(Request) -> Response``, one connection of http.client a request.

Bodies are bounded, redirects are never followed, platform addresses never use a proxy, URLs are
sent as they stand.
Source: spec WIRE 2.2 (headers), 2.5 (requests), 2.6 (proxy), 2.7 (outcome).
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from http.client import (
    BadStatusLine,
    HTTPException,
    HTTPResponse,
    ImproperConnectionState,
    IncompleteRead,
    InvalidURL,
    NotConnected,
)
from typing import BinaryIO, Optional, Protocol
from urllib.parse import SplitResult, urlsplit

from waagent.core.clock import Clock, Stop
from waagent.core.connection import Budget, Connection, CutShort, StopHeard
from waagent.core.context import Address
from waagent.core.errors import Garbled, GuestError, HttpError, RequestStopped, Unreachable
from waagent.core.proxy import ProxyRules
from waagent.core.records import dataclass, field
from waagent.core.redact import without_query

MAX_BODY = 16 * 1024 * 1024
MAX_DOWNLOAD = 2 * 1024 * 1024 * 1024
BLOCK = 64 * 1024
TRUST_S = 3600.0  # how long the machine's certificate authorities are remembered
DEFAULT_PORTS = {"http": 80, "https": 443}
EXPECT_BODY = ("POST", "PUT", "PATCH")
MAY_BE_PASSING = (NotConnected, IncompleteRead, ImproperConnectionState, BadStatusLine, CutShort)
"""What is said of HTTP itself and may be better the next time (WIRE 2.8)."""
_NOT_IN_TARGET = re.compile(r"[^\x21-\x7e]")

_LONGEST = 200  # of what an answer says that is no HTTP


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

        Raises ``Unreachable`` when there is no whole answer, as ``RequestStopped`` when the agent
        is told to stop; ``HttpError`` for a request that cannot be sent or an answer that would be
        as bad the next time; ``GuestError`` when the sink takes no more.
        """


class HttpTransport:
    """The real transport; ``addresses`` says where a ``host:port`` really is (for tests)."""

    def __init__(
        self,
        *,
        user_agent: str,
        clock: Clock,
        proxy: ProxyRules,
        addresses: Optional[Mapping[str, Address]] = None,
        stop: Optional[Stop] = None,
    ) -> None:
        self._user_agent = user_agent
        self._clock = clock
        self._proxy = proxy
        self._addresses = dict(addresses or {})
        self._stop = stop
        self._trust: Optional[tuple[float, ssl.SSLContext]] = None

    def send(self, request: Request, sink: Optional[BinaryIO] = None) -> Response:
        """See ``Transport.send``; no status is retried here."""
        url = without_query(request.url)
        try:
            return self._exchange(request, sink)
        except (InvalidURL, UnicodeError) as error:
            raise _cannot_send(request, error) from error
        except HTTPException as error:  # before OSError: a peer that leaves at once is both
            kind = Garbled if isinstance(error, MAY_BE_PASSING) else HttpError
            text = f"[HTTP Failed] {request.method} {url} -- HttpException {_why(error)}"
            raise kind(text, method=request.method, url=url) from error
        except StopHeard as error:
            text = f"cannot wait for the answer to {request.method} {url}: {error}"
            raise RequestStopped(text, method=request.method, url=url) from error
        except OSError as error:
            text = f"[HTTP Failed] {request.method} {url} -- IOError {_why(error)}"
            raise Unreachable(text, method=request.method, url=url) from error
        except ValueError as error:
            raise _cannot_send(request, error) from error

    def _exchange(self, request: Request, sink: Optional[BinaryIO]) -> Response:
        parts = urlsplit(request.url)
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise ValueError("only http and https URLs are known")
        most = MAX_BODY if sink is None else MAX_DOWNLOAD
        budget = Budget(self._clock, bytes_at_most=most, stop=self._stop)
        connection, target = self._route(request, parts, budget)
        if _NOT_IN_TARGET.search(target):
            raise ValueError("it has characters that no URL has")
        try:
            connection.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in self._headers(request, parts).items():
                connection.putheader(name, value)
            connection.endheaders(request.body)
            with connection.getresponse() as answer:
                body = _read(request, answer, sink)
        finally:
            connection.close()
        return Response(answer.status, answer.reason or "", dict(answer.getheaders()), body)

    def _route(
        self, request: Request, parts: SplitResult, budget: Budget
    ) -> tuple[Connection, str]:
        """A connection for this one request, not yet made, and the request target on it."""
        host = parts.hostname or ""
        port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        tls = (self._trusted(), host) if parts.scheme == "https" else None
        proxy = self._proxy.choose(request.url) if request.via_proxy else None
        if proxy is None:
            address = self._addresses.get(f"{host}:{port}", (host, port))
            return Connection(address, budget, timeout_s=request.timeout_s, tls=tls), target
        hop = urlsplit(proxy)
        address = (hop.hostname or "", hop.port or DEFAULT_PORTS["http"])
        connection = Connection(address, budget, timeout_s=request.timeout_s, tls=tls)
        if tls is None:
            return connection, f"http://{_bracketed(host)}:{port}{target}"
        connection.set_tunnel(host, port)
        return connection, target

    def _headers(self, request: Request, parts: SplitResult) -> dict[str, str]:
        """The headers in the order that the recordings show."""
        host = _bracketed(parts.hostname or "")
        if parts.port not in (None, DEFAULT_PORTS[parts.scheme]):
            host += f":{parts.port}"
        headers = {"Host": host, "Accept-Encoding": "identity"}
        if request.body is not None or request.method in EXPECT_BODY:
            headers["Content-Length"] = str(len(request.body or b""))
        if request.user_agent:
            headers["User-Agent"] = request.user_agent
        headers.update(request.headers)
        headers["Connection"] = "close"
        headers.setdefault("User-Agent", self._user_agent)
        return headers

    def _trusted(self) -> ssl.SSLContext:
        """The machine's certificate authorities, read anew each hour; reading them is slow."""
        now = self._clock.monotonic()
        if self._trust is None or now - self._trust[0] >= TRUST_S:
            self._trust = (now, ssl.create_default_context())
        return self._trust[1]


def _read(request: Request, answer: HTTPResponse, sink: Optional[BinaryIO]) -> bytes:
    """The body in bounded pieces; into the sink if it is a success."""
    into = sink if answer.status in (200, 201, 202) else None
    limit = MAX_BODY if into is None else MAX_DOWNLOAD
    collected = bytearray()
    size = 0
    while True:
        piece = answer.read(BLOCK)
        if not piece:
            break
        size += len(piece)
        if size > limit:
            raise HttpError(
                f"cannot use the answer to {request.method} {without_query(request.url)}:"
                f" it is larger than {limit} bytes",
                method=request.method,
                url=without_query(request.url),
            )
        if into is None:
            collected += piece
        else:
            _store(into, piece)
    if answer.length:  # what it has announced and did not send
        raise CutShort(f"the answer was cut short, {answer.length} bytes are missing")
    return bytes(collected)


def _store(sink: BinaryIO, piece: bytes) -> None:
    """Write to the sink; a full disk is no fault of the network and must not be retried."""
    try:
        sink.write(piece)
    except OSError as error:
        raise GuestError(f"cannot store what was downloaded: {error}; is the disk full?") from error


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _cannot_send(request: Request, error: Exception) -> HttpError:
    url = without_query(request.url)
    return HttpError(
        f"cannot send {request.method} {url}: {without_query(str(error))}; is the URL right?",
        method=request.method,
        url=url,
    )


def _why(error: Exception) -> str:
    """What is wrong, in a line; what a peer said that speaks no HTTP may be long."""
    return without_query(str(error) or type(error).__name__)[:_LONGEST]
