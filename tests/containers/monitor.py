"""`ip monitor` in a container: what happened to its links, addresses and routes meanwhile."""

from __future__ import annotations

import re
import subprocess
import threading
from types import TracebackType
from typing import Optional

from tests.containers.container import Container, ContainerFailed
from tests.containers.segment import NIC

MARK = "203.0.113.77"  # an address of the loopback's: that it is seen means the monitor listens
HEARD_WITHIN_S = 20.0


class Monitor:
    """Listens while its `with` lasts; afterwards it has the lines, and what was lost."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._process: Optional[subprocess.Popen[str]] = None
        self._thread: Optional[threading.Thread] = None
        self._changed = threading.Condition()
        self._lines: list[str] = []

    def __enter__(self) -> Monitor:
        self._process = self._container.start("ip", "-o", "monitor", "link", "address", "route")
        self._thread = threading.Thread(target=self._listen, name="monitor", daemon=True)
        self._thread.start()
        self._container.await_that("ip monitor listens", self._is_heard)
        with self._changed:
            self._lines.clear()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        try:
            if kind is None:
                self._hear_the_end()
        finally:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
            if self._thread is not None:
                self._thread.join()
            self._lines = [line for line in self._lines if MARK not in line]

    @property
    def lines(self) -> tuple[str, ...]:
        """All that it said of the container's interface."""
        return tuple(line for line in self._lines if re.search(rf"\b{NIC}\b", line))

    @property
    def losses(self) -> tuple[str, ...]:
        """Of these, a link that went down, and an address or a route that was removed."""
        return tuple(line for line in self.lines if _is_loss(line))

    @property
    def said(self) -> str:
        """What it was, in words."""
        lost = f", lost: {' | '.join(self.losses)}" if self.losses else ", none of them a loss"
        return f"{len(self.lines)} lines{lost}"

    def _hear_the_end(self) -> None:
        """Everything until now is heard once a new mark is, as the kernel keeps the order."""
        with self._changed:
            before = len(self._lines)
        self._container.await_that(
            "ip monitor heard all", lambda: self._is_heard(before), HEARD_WITHIN_S
        )

    def _is_heard(self, since: int = 0) -> bool:
        for verb in ("add", "delete"):
            self._container.run("ip", "address", verb, f"{MARK}/32", "dev", "lo")
        with self._changed:
            return any(MARK in line for line in self._lines[since:])

    def _listen(self) -> None:
        assert self._process is not None
        if self._process.stdout is None:
            raise ContainerFailed("ip monitor has no output")
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(" ".join(line.split()))


def _is_loss(line: str) -> bool:
    """Whether a line of `ip -o monitor` says that something was taken away.

    IPv6 is not published; and a line of the link without LOWER_UP has no carrier.
    """
    if "inet6" in line or "::" in line or "fe80:" in line:
        return False
    is_link = re.match(r"(?:Deleted )?\d+: \S+: <", line) is not None
    flags = re.search(r"<([^>]*)>", line)
    if is_link and flags:
        return line.startswith("Deleted") or not {"UP", "LOWER_UP"} <= set(flags[1].split(","))
    return line.startswith("Deleted")
