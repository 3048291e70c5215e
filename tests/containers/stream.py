"""A stream of ten bytes a second through a container's link and back, and its gaps.

A byte is sent from the router's side each tenth of a second; the container sends it back. A lost
link, or a lost address, is a gap, or the end of the connection.
"""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import threading
import time
from types import TracebackType
from typing import Optional

from tests.containers.container import Container, ContainerFailed
from tests.containers.segment import ROUTER, Segment

EVERY_S = 0.1
OPEN_WITHIN_S = 20.0
LAST_WITHIN_S = 10.0

ECHO = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as peer:
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        data = peer.recv(1)
        if not data:
            break
        peer.sendall(data)
"""


class Stream:
    """Runs while its `with` lasts; afterwards it can be asked how it was."""

    def __init__(self, segment: Segment, container: Container) -> None:
        self._segment, self._container = segment, container
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)
        self._echo: Optional[subprocess.Popen[str]] = None
        self.sent, self.returned = 0, 0
        self.largest_gap_s = 0.0
        self.failure = ""

    def __enter__(self) -> Stream:
        listener = self._segment.network.call(lambda: socket.create_server((ROUTER, 0)))
        with listener:
            listener.settimeout(OPEN_WITHIN_S)
            port = str(listener.getsockname()[1])
            self._echo = self._container.start("python3", "-c", ECHO, ROUTER, port)
            try:
                self._peer, _ = listener.accept()
            except OSError as e:
                self._end()
                raise ContainerFailed(f"the container cannot reach the router: {e}") from e
        self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._peer.close()
        self._end()

    @property
    def is_whole(self) -> bool:
        """Whether every byte came back over the one connection."""
        return not self.failure and self.sent == self.returned > 0

    @property
    def said(self) -> str:
        """What it was, in words."""
        words = f"{self.returned} of {self.sent} bytes, largest gap {self.largest_gap_s:.2f} s"
        return f"{words}; {self.failure}" if self.failure else words

    def _run(self) -> None:
        """Send on time, whether or not the last byte is back; stop, and wait for the rest."""
        due = last = time.monotonic()
        try:
            while not self._stop.is_set():
                now = time.monotonic()
                if now >= due:
                    self._peer.send(b"x")
                    self.sent, due = self.sent + 1, due + EVERY_S
                last = self._receive(max(0.0, due - time.monotonic()), last)
            limit = time.monotonic() + LAST_WITHIN_S
            while self.returned < self.sent and time.monotonic() < limit:
                last = self._receive(EVERY_S, last)
        except OSError as e:
            self.failure = f"the connection broke: {e}"

    def _receive(self, within_s: float, last: float) -> float:
        """Take what is back by then; when something came back last."""
        if not select.select([self._peer], [], [], within_s)[0]:
            return last
        data = self._peer.recv(64)
        if not data:
            raise OSError("the container ended it")
        now = time.monotonic()
        self.returned += len(data)
        self.largest_gap_s = max(self.largest_gap_s, now - last)
        return now

    def _end(self) -> None:
        if self._echo is not None:
            with contextlib.suppress(OSError):
                self._echo.kill()
            self._echo.communicate()
