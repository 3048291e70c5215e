"""Connections of http.client that end, whatever the peer does.

The library limits the wait for each piece of an answer; a peer that sends a byte now and then would
hold us for ever. Here every read and write also has the end of the whole request before it.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
from collections.abc import Iterator
from typing import Any, Optional

from waagent.core.clock import Clock

SLOWEST_S = 300.0
SLOWEST_BYTES_S = 256 * 1024  # what a large answer must bring in each further second
HEAD_ROOM = 1024 * 1024  # for status line, headers and chunk sizes

Tls = tuple[ssl.SSLContext, str]
"""Whom we trust, and the name that the server has to prove."""


class Budget:
    """The time and the bytes that one request may take."""

    def __init__(self, clock: Clock, *, bytes_at_most: int) -> None:
        self._clock = clock
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
        """Count what came; raises ``ConnectionError`` when it is more than was allowed."""
        self._ends += size / SLOWEST_BYTES_S
        self._left -= size
        if self._left < 0:
            raise ConnectionError("the peer sends without end")


class TimedSocket:
    """A connected socket whose reads and writes stay within a budget."""

    def __init__(self, sock: Any, budget: Budget) -> None:
        self._sock = sock
        self._budget = budget
        self._wanted_s = sock.gettimeout() or SLOWEST_S
        self._readers = 0
        self._is_closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def settimeout(self, seconds: Optional[float]) -> None:
        """How long each single read or write may take."""
        self._wanted_s = SLOWEST_S if seconds is None else seconds

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        with self._patience():
            self._sock.sendall(data)

    def receive(self, buffer: Any) -> int:
        """Read what is there into the buffer; 0 at the end."""
        with self._patience():
            size = int(self._sock.recv_into(buffer))
        self._budget.spend(size)
        return size

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

    @contextlib.contextmanager
    def _patience(self) -> Iterator[None]:
        self._sock.settimeout(self._budget.patience(self._wanted_s))
        try:
            yield
        except socket.timeout:  # not yet a TimeoutError in Python 3.9
            self._budget.patience(0.0)  # whose words are better if that was the last of the time
            raise

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
            raise ConnectionError("the answer was cut short in its head")
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
        self._budget = budget
        self._tls = tls

    def connect(self) -> None:
        """Connect, through the proxy's tunnel if there is one."""
        super().connect()
        if self._tls is not None:
            context, server_name = self._tls
            self.sock = context.wrap_socket(self.sock, server_hostname=server_name)
        self.sock = TimedSocket(self.sock, self._budget)

    def _tunnel(self) -> None:
        # A proxy may be as slow as a server; and Python before 3.12 forgets to close a refused one.
        plain = self.sock
        self.sock = TimedSocket(plain, self._budget)
        try:
            super()._tunnel()  # type: ignore[misc]
        except BaseException:
            plain.close()
            raise
        self.sock = plain
