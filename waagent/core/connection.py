"""Connections for urllib3 that send a URL as it stands and end, whatever the peer does.

urllib3 limits the wait for each piece of an answer; a peer that sends a byte now and then would
hold us for ever. Here every read and write also has the end of the whole request before it.
"""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Iterator
from typing import Any, Callable, Optional

import urllib3.connection

from waagent.core.clock import Clock

SLOWEST_S = 300.0
SLOWEST_BYTES_S = 256 * 1024  # what a large answer must bring in each further second
HEAD_ROOM = 1024 * 1024  # for status line, headers and chunk sizes


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


class _Careful:
    """What both kinds of connection do beyond urllib3's."""

    target: str
    budget: Budget
    sock: Any

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.sock = TimedSocket(self.sock, self.budget)

    def _tunnel(self) -> None:
        # A proxy may be as slow as a server; and Python before 3.12 forgets to close a refused one.
        plain = self.sock
        self.sock = TimedSocket(plain, self.budget)
        try:
            super()._tunnel()  # type: ignore[misc]
        except BaseException:
            plain.close()
            raise
        self.sock = plain

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        del url  # urllib3 has normalised it, and a signed URL must not change (WIRE 2.5, 3.1)
        super().putrequest(method, self.target, *args, **kwargs)  # type: ignore[misc]


class _Plain(_Careful, urllib3.connection.HTTPConnection):
    pass


class _Tls(_Careful, urllib3.connection.HTTPSConnection):
    pass


def connections(scheme: str, target: str, budget: Budget) -> Callable[..., Any]:
    """What a urllib3 pool calls to make its connections (its ``ConnectionCls``)."""

    def build(**settings: Any) -> Any:
        connection = (_Tls if scheme == "https" else _Plain)(**settings)
        connection.target = target
        connection.budget = budget
        return connection

    return build
