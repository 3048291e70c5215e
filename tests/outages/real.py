"""The real child process, in real time, behind relays that can also refuse every connection."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Optional

import psutil

from tests.fabric import Fabric
from tests.support.agent import RootedAgent
from tests.support.child_process import end_child, leave_endpoint, start_child

STOPS_WITHIN_S = 5.0  # half of what a request waits; busy machines are slow
LOOPBACK = "127.0.0.1"


class Relay:
    """A port of its own that leads to another, as long as it is open."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self.connections = 0
        self._listener = _own_port()
        self.address: tuple[str, int] = self._listener.getsockname()
        self._begin()

    def refuse(self) -> None:
        """Nobody listens any more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def open(self) -> None:
        """Listen again, on the same port."""
        self._listener = socket.create_server(self.address)
        self._begin()

    def _begin(self) -> None:
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                inner, _ = self._listener.accept()
            except OSError:  # closed
                return
            self.connections += 1
            threading.Thread(target=self._carry, args=(inner,), daemon=True).start()

    def _carry(self, inner: socket.socket) -> None:
        with inner, contextlib.suppress(OSError), socket.create_connection(self._target) as outer:
            both = {inner.fileno(): (inner, outer), outer.fileno(): (outer, inner)}
            ready = select.poll()  # select() takes no large descriptors
            for descriptor in both:
                ready.register(descriptor, select.POLLIN)
            while True:
                for descriptor, _ in ready.poll():
                    one, other = both[descriptor]
                    data = one.recv(65536)
                    if not data:
                        return
                    other.sendall(self.outgoing(data) if one is inner else data)

    def outgoing(self, data: bytes) -> bytes:
        """What is passed on of a request."""
        return data


def _own_port() -> socket.socket:
    """A listener on a port that the kernel gives to nobody, so that it can be had again."""
    for port in random.sample(range(20_000, 32_000), 200):
        with contextlib.suppress(OSError):
            return socket.create_server((LOOPBACK, port))
    raise AssertionError("no port is free")


class RealChild:
    """A machine's child process; leaving the context stops it, and it has to end in time."""

    def __init__(
        self,
        root: Path,
        fabric: Fabric,
        *,
        conf: str = "",
        environment: Optional[dict[str, str]] = None,
    ) -> None:
        self.root = root
        self.fabric = fabric
        self._conf = conf
        self._environment = environment or {}
        self.relays = {each: Relay(each) for each in set(fabric.address_book.values())}
        self._log: Optional[IO[bytes]] = None
        self.stopped_after_s = 0.0

    def __enter__(self) -> RealChild:
        machine = RootedAgent(self.root, self.fabric)
        leave_endpoint(machine)
        (self.root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n", encoding="ascii")
        (self.root / "etc/waagent.conf").write_text(self._conf, encoding="utf-8")
        book = {
            name: self.relays[address].address for name, address in self.fabric.address_book.items()
        }
        self._log = (self.root / "log").open("wb")
        self.process = start_child(self.root, book, output=self._log, environment=self._environment)
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        began = time.monotonic()
        try:
            code = end_child(self.process)
        except subprocess.TimeoutExpired:
            code = self.process.returncode
        self.stopped_after_s = time.monotonic() - began
        if self._log is not None:
            self._log.close()
        if error is None:
            assert code == 0, self.log()
            assert self.stopped_after_s < STOPS_WITHIN_S, "it was held up"

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def pause(self, seconds: float) -> None:
        """Let it live for a while, or until it dies."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def log(self) -> str:
        """What it said."""
        return (self.root / "log").read_text(encoding="utf-8", errors="replace")

    def requests(self) -> int:
        """How many connections it made; each is one request."""
        return sum(relay.connections for relay in self.relays.values())

    def lines(self) -> int:
        """How many lines that was."""
        return self.log().count("\n")

    def await_requests(self, count: int) -> None:
        """Let it ask so often, whether it is answered or not."""
        until = self.requests() + count
        while self.requests() < until:
            assert self.is_alive(), self.log()
            self.pause(0.05)

    def await_turns(self, count: int) -> None:
        """Let the loop go round, so that nothing of a change is under way any more."""
        since = len(self.fabric.world.received.statuses)
        self.fabric.await_(
            lambda: len(self.fabric.world.received.statuses) >= since + count, 60, "more turns"
        )

    def forget_peak_kb(self) -> int:
        """Begin to measure the peak of its memory anew; what it has now."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5", encoding="ascii")
        return self.peak_kb()

    def peak_kb(self) -> int:
        """The most that was resident, of files too."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0])

    def cpu_s(self) -> float:
        """The processor time that it has used, in all."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Every connection is refused meanwhile."""
        for relay in self.relays.values():
            relay.refuse()
        try:
            yield
        finally:
            for relay in self.relays.values():
                relay.open()
