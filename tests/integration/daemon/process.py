"""A daemon that runs beside the test: what it logs, what it tells systemd, how it ends."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Optional

PROJECT = Path(__file__).resolve().parents[3]
PATIENCE_S = 30.0
LIVES = "import signal; signal.pause()\n"
"""A child that lives until it is told to end."""


def dies(code: int, times: int = 10**6) -> str:
    """A child that ends at once with a code, that many times; then it lives."""
    return (
        "import pathlib, signal, sys\n"
        "count = pathlib.Path(__file__ + '.runs')\n"
        "with count.open('a') as stream:\n"
        "    stream.write('run\\n')\n"
        f"if len(count.read_text().splitlines()) <= {times}:\n"
        f"    sys.exit({code})\n"
        "signal.pause()\n"
    )


class DaemonProcess:
    """One run of the daemon in a folder."""

    def __init__(
        self,
        root: Path,
        *,
        boots: Sequence[str] = ("done",),
        child: str = LIVES,
        console: Sequence[str] = (),
        in_hurry: bool = True,
        factor: float = 1.0,
        environment: Optional[dict[str, str]] = None,
    ) -> None:
        self.root = root
        self.log: list[str] = []
        for folder in ("var/run", "var/lib"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        program = root / "waagent"
        program.write_text(child, encoding="utf-8")
        plan = {
            "root": str(root),
            "program": str(program),
            "boots": list(boots),
            "console": list(console),
            "in_hurry": in_hurry,
            "factor": factor,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.daemon.actor", json.dumps(plan)],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
        self._pending = b""

    def __enter__(self) -> DaemonProcess:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(PATIENCE_S)
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def lib(self) -> Path:
        """Its lib dir."""
        return self.root / "var/lib/waagent"

    @property
    def waits(self) -> list[float]:
        """What it waited for with nothing but the clock, in seconds."""
        text = (self.root / "waits").read_text(encoding="utf-8")
        return [float(line) for line in text.splitlines()]

    def until(self, text: str, times: int = 1) -> str:
        """Read its log until a line with the text, the nth of them; the line."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            line = self._line(deadline)
            if line is None:
                raise AssertionError(f"{text!r} was never logged, but:\n" + "\n".join(self.log))
            if text in line:
                times -= 1
                if not times:
                    return line

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Send it a signal; its exit code, and how long it took."""
        started = time.monotonic()
        self._process.send_signal(number)
        return self.await_end(), time.monotonic() - started

    def await_end(self) -> int:
        """Read the rest of its log; its exit code."""
        deadline = time.monotonic() + PATIENCE_S
        while self._line(deadline) is not None:
            pass
        return self._process.wait(PATIENCE_S)

    def _line(self, deadline: float) -> Optional[str]:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._pending:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([descriptor], [], [], left_s)[0]:
                return None
            data = os.read(descriptor, 65536)
            if not data:
                return None
            self._pending += data
        line, self._pending = self._pending.split(b"\n", 1)
        self.log.append(line.decode())
        return self.log[-1]


class Systemd:
    """The other end of sd_notify(3)."""

    def __init__(self, path: Path) -> None:
        self.environment = {"NOTIFY_SOCKET": str(path)}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(PATIENCE_S)

    def hear(self) -> str:
        """The next message."""
        return self._socket.recv(4096).decode()

    def hear_until(self, text: str) -> list[str]:
        """All messages up to one that begins so."""
        heard = [self.hear()]
        while not heard[-1].startswith(text):
            heard.append(self.hear())
        return heard

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()
