"""Connections of http.client that end, whatever the peer does, and as soon as we are to stop.

The library limits the wait for each piece of an answer; a peer that sends a byte now and then would
hold us for ever. Here every read and write also has the end of the whole request before it, and
every wait hears the word to stop. Nothing of a socket ever blocks but in ``Budget.await_ready``.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import io
import os
import select
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Callable, Optional, TypeVar

from waagent.core.clock import Bell, Clock, Stop

T = TypeVar("T")

SLOWEST_S = 300.0
SLOWEST_BYTES_S = 256 * 1024  # what a large answer must bring in each further second
HEAD_ROOM = 1024 * 1024  # for status line, headers and chunk sizes
SIGNAL_S = 0.05  # between a signal's arrival and its handler, which says whether we stop

Tls = tuple[ssl.SSLContext, str]
"""Whom we trust, and the name that the server has to prove."""


class CutShort(http.client.HTTPException):
    """The connection ended within the answer."""


class StopHeard(ConnectionAbortedError):
    """The agent was told to stop."""


class Endless(http.client.HTTPException):
    """More came than any answer may have; it would be as much the next time."""


class Budget:
    """The time and the bytes that one request may take, unless the agent is told to stop."""

    def __init__(self, clock: Clock, *, bytes_at_most: int, stop: Optional[Stop] = None) -> None:
        self._clock = clock
        self._stop = stop
        self._ends = clock.monotonic() + SLOWEST_S
        self._left = bytes_at_most + HEAD_ROOM

    def patience(self, wanted_s: float) -> float:
        """How long the next step may take; raises ``TimeoutError`` when the time is over."""
        left = self._ends - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError(
                f"it took longer than {SLOWEST_S:g} s, and less than {SLOWEST_BYTES_S} bytes came"
                " in a second"
            )
        return min(wanted_s, left)

    def spend(self, size: int) -> None:
        """Count what came; raises ``Endless`` when it is more than was allowed."""
        self._ends += size / SLOWEST_BYTES_S
        self._left -= size
        if self._left < 0:
            raise Endless("the peer sends without end")

    def check_stop(self) -> None:
        """Raise ``StopHeard`` once the agent is told to stop."""
        if self._stop is not None and self._stop.is_set():
            raise StopHeard("the agent is told to stop")

    def await_ready(self, descriptor: int, event: int, wanted_s: float) -> None:
        """Wait until a descriptor can be read or written; ``socket.timeout`` when it cannot.

        Raises as ``check_stop`` and ``patience`` too.
        """
        self.check_stop()
        left = self.patience(wanted_s)
        watched = {descriptor: event}
        if self._stop is not None and self._stop.fileno() >= 0:
            watched[self._stop.fileno()] = select.POLLIN
        while left > 0:
            ready = _poll(watched, left)
            self.check_stop()
            if descriptor in ready:
                return
            if not ready:
                break
            # A signal woke us before its handler ran; in a moment we know whether to stop.
            if _poll({descriptor: event}, min(left, SIGNAL_S)):
                return
            left -= SIGNAL_S
        self.patience(0.0)  # whose words are better if that was the last of the time
        raise socket.timeout("timed out")


def _poll(watched: Mapping[int, int], seconds: float) -> list[int]:
    """Those of the descriptors that are ready within the time."""
    poller = select.poll()
    for descriptor, event in watched.items():
        poller.register(descriptor, event)
    return [descriptor for descriptor, _ in poller.poll(int(seconds * 1000 + 0.999))]


class TimedSocket:
    """A connected socket whose reads and writes stay within a budget."""

    def __init__(self, sock: Any, budget: Budget, timeout_s: float) -> None:
        self._sock = sock
        self._budget = budget
        self._wanted_s = timeout_s
        self._readers = 0
        self._is_closed = False

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._patiently(partial(self._sock.send, rest), select.POLLOUT) :]

    def receive(self, buffer: Any) -> int:
        """Read what is there into the buffer; 0 at the end."""
        size = self._patiently(lambda: int(self._sock.recv_into(buffer)), select.POLLIN)
        self._budget.spend(size)
        return size

    def shake_hands(self) -> None:
        """Have the peer prove who it is, where it speaks TLS."""
        self._patiently(self._sock.do_handshake, select.POLLIN)

    def makefile(self, mode: str = "rb", *_: Any, **__: Any) -> io.BufferedReader:
        """The answer as a stream; it may be read after ``close``, as http.client does."""
        if mode != "rb":
            raise ValueError("answers are read as bytes")
        self._readers += 1
        return io.BufferedReader(_Answer(self))

    def close(self) -> None:
        """Close the connection once nobody reads from it any more."""
        self._is_closed = True
        self._close_if_unused()

    def reader_left(self) -> None:
        """A stream of ``makefile`` was closed."""
        self._readers -= 1
        self._close_if_unused()

    def _patiently(self, step: Callable[[], T], usual: int) -> T:
        while True:
            self._budget.check_stop()  # a peer that is always ready is never waited for
            self._budget.patience(self._wanted_s)
            try:
                return step()
            except ssl.SSLWantReadError:
                event = select.POLLIN
            except ssl.SSLWantWriteError:
                event = select.POLLOUT
            except BlockingIOError:
                event = usual
            self._budget.await_ready(self._sock.fileno(), event, self._wanted_s)

    def _close_if_unused(self) -> None:
        if self._is_closed and self._readers <= 0:
            self._sock.close()


class _Answer(io.RawIOBase):
    """What comes; an end within the head is an error, which http.client takes for its end."""

    def __init__(self, source: TimedSocket) -> None:
        super().__init__()
        self._source = source
        self._is_past_head = False
        self._latest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = self._source.receive(buffer)
        if not self._is_past_head:
            self._watch_head(bytes(buffer[:size]))
        return size

    def _watch_head(self, piece: bytes) -> None:
        if self._latest and not piece:
            raise CutShort("the answer was cut short in its head")
        text = self._latest + piece
        self._is_past_head = b"\n\r\n" in text or b"\n\n" in text
        self._latest = text[-2:]

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._source.reader_left()


class Connection(http.client.HTTPConnection):
    """A connection for one request, over TLS if it is to prove that it leads to ``server_name``."""

    sock: Any

    def __init__(
        self, address: tuple[str, int], budget: Budget, *, timeout_s: float, tls: Optional[Tls]
    ) -> None:
        super().__init__(*address, timeout=timeout_s)
        self._address = address
        self._budget = budget
        self._timeout_s = timeout_s
        self._tls = tls
        self._tunnel_to: Optional[tuple[str, int]] = None

    def set_tunnel(self, host: str, port: Optional[int] = None, headers: Any = None) -> None:
        """Lead through the proxy at our address to another one."""
        super().set_tunnel(host, port, headers)
        self._tunnel_to = (host, port or 0)

    def connect(self) -> None:
        """Connect, through the proxy's tunnel if there is one."""
        plain = self._connected()
        self.sock = TimedSocket(plain, self._budget, self._timeout_s)
        if self._tunnel_to is not None:
            self._dig(plain)
        if self._tls is not None:
            context, server_name = self._tls
            secure = context.wrap_socket(
                plain, server_hostname=server_name, do_handshake_on_connect=False
            )
            self.sock = TimedSocket(secure, self._budget, self._timeout_s)
            self.sock.shake_hands()

    def _dig(self, plain: socket.socket) -> None:
        try:
            self._tunnel()  # type: ignore[attr-defined]
        except BaseException:  # Python before 3.12 forgets to close a refused one
            plain.close()
            raise
        self.sock = TimedSocket(plain, self._budget, self._timeout_s)

    def _connected(self) -> socket.socket:
        """A socket that leads to the first address that takes us."""
        last: OSError = OSError(f"no address is known of {self._address[0]}")
        for family, kind, protocol, _, place in self._places():
            sock = socket.socket(family, kind, protocol)
            try:
                self._connect_one(sock, place)
            except OSError as error:
                sock.close()
                last = error
                self._budget.check_stop()
            else:
                return sock
        raise last

    def _connect_one(self, sock: socket.socket, place: Any) -> None:
        self._budget.check_stop()
        sock.setblocking(False)
        code = sock.connect_ex(place)
        if code == errno.EINPROGRESS:
            self._budget.await_ready(sock.fileno(), select.POLLOUT, self._timeout_s)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _places(self) -> Sequence[Any]:
        host, port = self._address
        with contextlib.suppress(socket.gaierror):  # it is a name
            return socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        return _Lookup(host, port).result(self._budget, self._timeout_s)


class _Lookup:
    """The addresses of a name, asked for beside us: the resolver cannot be told to stop."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._bell = Bell()
        self._found: Sequence[Any] = ()
        self._error: Optional[Exception] = None
        threading.Thread(target=self._look, name="Resolver", daemon=True).start()

    def result(self, budget: Budget, timeout_s: float) -> Sequence[Any]:
        """What was found; raises what ``getaddrinfo`` does, and as ``Budget.await_ready``."""
        budget.await_ready(self._bell.fileno(), select.POLLIN, timeout_s)
        if self._error is not None:
            raise self._error
        return self._found

    def _look(self) -> None:
        try:
            self._found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            self._error = error
        self._bell.ring()
