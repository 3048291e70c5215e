"""HTTP listeners that put requests to the services, strike with faults and keep the journal."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Optional
from urllib.parse import urlsplit

from tests.fabric.exchange import Answer, Refused, Request, Route, Service
from tests.fabric.faults import (
    HANG_UP,
    PAUSE,
    REFUSE,
    RESET_PEER,
    SPOIL,
    WAIT,
    FaultBoard,
    Strike,
)
from tests.fabric.journal import Journal

IDLE_S = 30.0
LARGEST_BODY = 64 * 1024 * 1024
_NO_BODY = frozenset({204, 304})


@dataclass(frozen=True)
class Binding:
    """A service on a listener; `host` is the Host header that chooses it, None takes the rest."""

    service: Service
    host: Optional[str] = None


class Listener:
    """One port: services told apart by Host header."""

    def __init__(
        self, address: tuple[str, int], bindings: Sequence[Binding], journal: Journal,
        board: FaultBoard,
    ) -> None:  # fmt: skip
        self._bindings = tuple(bindings)
        self._journal = journal
        self._board = board
        self._stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server = _Server(address, self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def address(self) -> tuple[str, int]:
        """Where it really listens."""
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection; whoever hangs is let go."""
        self._stopping.set()
        self._board.clear()
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            left = list(self._connections)
        for connection in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def track(self, connection: socket.socket, *, alive: bool) -> None:
        """Remember or forget an open connection."""
        with self._lock:
            (self._connections.add if alive else self._connections.discard)(connection)

    def serve(self, request: Request, handler: _Handler) -> None:
        """Answer one request, struck by a fault if one is due, and write the journal."""
        service = self._service_of(request)
        route = service.route(request) or Route(f"{service.name}.unexpected", _unexpected)
        strike = self._board.take(route.endpoint)
        if strike is not None and strike.fault.kind == WAIT:
            strike.cleared.wait(strike.fault.delay_s)
        answer = _decide(request, route, strike)
        reset = strike is not None and strike.fault.kind == RESET_PEER
        # The journal first: a client that has its answer finds its request written down.
        self._journal.add(
            endpoint=route.endpoint,
            method=request.method,
            url=request.url,
            headers=request.headers,
            body=request.body,
            answer=0 if reset else answer.status,
            answer_body=answer.body,
            fault=strike.fault.name if strike else None,
            complaints=tuple(request.complaints),
        )
        if self._stopping.is_set():
            handler.close_connection = True
        elif reset:
            handler.reset()
        else:
            handler.send(request, answer, strike)

    def _service_of(self, request: Request) -> Service:
        absolute = urlsplit(request.target).netloc  # a client that speaks to a proxy
        host = (absolute or request.host).lower()
        names = {host, host.rpartition(":")[0] or host}
        for binding in self._bindings:
            if binding.host is not None and binding.host.lower() in names:
                return binding.service
        return next(
            (b.service for b in self._bindings if b.host is None), self._bindings[0].service
        )


def _unexpected(request: Request) -> Answer:
    request.complain("nobody expects this request")
    return Answer(404, b"Not found")


def _decide(request: Request, route: Route, strike: Optional[Strike]) -> Answer:
    if strike is not None and strike.fault.kind in {REFUSE, RESET_PEER}:
        fault = strike.fault
        return Answer(fault.status, fault.body, headers=fault.headers)
    try:
        answer = route.answer(request)
    except Refused as e:
        if e.why is not None:
            request.complain(e.why)
        return e.answer
    if strike is not None and strike.fault.kind == SPOIL:
        return Answer(answer.status, strike.fault.body, answer.content_type, answer.headers)
    return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], listener: Listener) -> None:
        self.listener = listener
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without asking a resolver for the host's name, as the base class does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is its own affair."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Microsoft-IIS/10.0"
    sys_version = ""
    timeout = IDLE_S
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.listener.track(self.connection, alive=True)

    def finish(self) -> None:
        self.server.listener.track(self.connection, alive=False)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name that http.server gives it
        """The journal says it better."""

    def _serve(self) -> None:
        headers = tuple((name, value) for name, value in self.headers.items())
        length = self.headers.get("Content-Length")
        body = b""
        complaints: list[str] = []
        if self.headers.get("Transfer-Encoding"):
            complaints.append("the fabric does not take a chunked body")
            self.close_connection = True
        elif length is not None and length.isdigit() and int(length) <= LARGEST_BODY:
            body = self.rfile.read(int(length))
        elif length is not None:
            complaints.append(f"the Content-Length {length!r} cannot be")
            self.close_connection = True
        if not self.headers.get("Host"):
            complaints.append("the Host header is missing")
        request = Request(self.command, self.path, headers, body, complaints)
        self.server.listener.serve(request, self)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = do_PATCH = _serve  # noqa: N815  as http.server looks for them

    def reset(self) -> None:
        """Send a reset instead of an answer."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.close()

    def send(self, request: Request, answer: Answer, strike: Optional[Strike] = None) -> None:
        """Send an answer; or only half of its body under the length of the whole, for good or
        until the fault is cleared.
        """
        cut_short = strike is not None and strike.fault.kind == HANG_UP
        self.send_response(answer.status)
        if answer.content_type:
            self.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.status not in _NO_BODY:
            self.send_header("Content-Length", str(len(answer.body) + (1 if cut_short else 0)))
        self.end_headers()
        if request.method == "HEAD" or answer.status in _NO_BODY:
            return
        middle = len(answer.body) // 2
        self.wfile.write(answer.body[:middle])
        if cut_short:
            self.close_connection = True
            return
        if strike is not None and strike.fault.kind == PAUSE:
            strike.cleared.wait(strike.fault.delay_s)
        self.wfile.write(answer.body[middle:])
