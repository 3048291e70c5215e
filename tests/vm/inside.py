"""Looking into a running machine by QEMU's guest agent: without network, account or our agent.

Source: QEMU Guest Agent Protocol Reference (guest-sync-delimited, guest-exec, guest-exec-status).
"""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable

from tests.vm.qemu import MachineFailed

TRY_EVERY_S = 1.0
POLL_FIRST_S, POLL_MOST_S = 0.02, 0.5
ENVIRONMENT = ("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/root", "TERM=dumb")


@dataclass(frozen=True)
class Finished:
    """How a command in the machine ended, and what it printed."""

    code: int
    output: str
    errors: str

    @property
    def said(self) -> str:
        """Both streams in one line."""
        return " ".join(f"{self.output} {self.errors}".split())


class Inside:
    """Runs commands as root in the machine."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self._connection = connect()
        self._pending = b""
        self._number = int(time.monotonic() * 1000)  # no answer to an earlier connection is ours

    def await_up(self, within_s: float) -> None:
        """Wait until the guest agent answers, after a start or a restart of the machine."""
        limit = time.monotonic() + within_s
        while time.monotonic() < limit:
            self._number += 1
            self._send({"execute": "guest-sync-delimited", "arguments": {"id": self._number}})
            try:
                while self._receive(TRY_EVERY_S).get("return") != self._number:
                    continue
            except (TimeoutError, ValueError):
                continue
            return
        raise MachineFailed(f"the guest agent of QEMU does not answer within {within_s:g} s")

    def run(self, *argv: str, given: bytes = b"", within_s: float = 60.0) -> Finished:
        """Run a program to its end, with some bytes as its standard input."""
        started = self._ask(
            "guest-exec",
            {
                "path": argv[0],
                "arg": list(argv[1:]),
                "env": list(ENVIRONMENT),
                "input-data": base64.b64encode(given).decode(),
                "capture-output": True,
            },
        )
        limit, pause = time.monotonic() + within_s, POLL_FIRST_S
        while True:
            status = self._ask("guest-exec-status", {"pid": started["pid"]})
            if status["exited"]:
                break
            if time.monotonic() > limit:
                raise MachineFailed(f"{' '.join(argv)} did not end within {within_s:g} s")
            threading.Event().wait(pause)
            pause = min(pause * 1.5, POLL_MOST_S)
        streams = (base64.b64decode(status.get(n, "")) for n in ("out-data", "err-data"))
        output, errors = (data.decode(errors="replace") for data in streams)
        return Finished(status.get("exitcode", -status.get("signal", 0)), output, errors)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _ask(self, command: str, arguments: dict[str, Any]) -> Any:
        self._send({"execute": command, "arguments": arguments})
        answer = self._receive(60.0)
        while isinstance(answer.get("return"), int):  # a late answer to what await_up asked
            answer = self._receive(60.0)
        if "error" in answer:
            raise MachineFailed(f"the guest agent refuses {command}: {answer['error']['desc']}")
        return answer["return"]

    def _send(self, message: dict[str, Any]) -> None:
        # The byte 0xFF makes it forget what was left in its buffer, and it sends one itself.
        start = b"\xff" if message["execute"] == "guest-sync-delimited" else b""
        self._connection.sendall(start + json.dumps(message).encode() + b"\n")

    def _receive(self, within_s: float) -> Any:
        self._connection.settimeout(within_s)
        while b"\n" not in self._pending:
            try:
                data = self._connection.recv(65536)
            except socket.timeout as e:  # it is another class than TimeoutError before Python 3.10
                raise TimeoutError from e
            except OSError as e:
                raise MachineFailed("the machine is off") from e
            if not data:
                raise MachineFailed("the machine is off")
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return json.loads(line.rpartition(b"\xff")[2])
