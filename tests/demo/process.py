"""The guest's first process as seen from here: starting it, telling it what to do, ending it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Optional

from tests.demo.plan import CHECKOUT, GuestPlan

UP_WITHIN_S = 20.0
END_WITHIN_S = 30.0


class GuestFailed(Exception):
    """The guest could not be made, or is gone."""


class FirstProcess:
    """Process 1 of a guest; a thread reads what it says."""

    def __init__(self, plan: GuestPlan) -> None:
        ours, theirs = socket.socketpair()
        self._control = ours
        self._changed = threading.Condition()
        self._answers: dict[int, dict[str, Any]] = {}
        self._exits: dict[int, int] = {}
        self._events: dict[str, dict[str, Any]] = {}
        self._number = 0
        argv = [sys.executable, "-m", "tests.demo.init", str(theirs.fileno())]
        with theirs:
            self._outer = subprocess.Popen(
                argv,
                cwd=CHECKOUT,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the harness, which then closes the socket
            )
        ours.sendall(plan.render().encode() + b"\n")
        self._thread = threading.Thread(target=self._listen, name="guest", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Its process id on this machine."""
        return int(self._events["born"]["pid"])

    @property
    def written(self) -> Path:
        """The layer with everything that the guest wrote, as a folder for this process."""
        return Path(f"/proc/{self.pid}/fd/{self._events['up']['written']}")

    def await_up(self) -> None:
        """Wait until the guest stands; `GuestFailed` says why it does not."""
        self._wait(lambda: {"up", "failed", "gone"} & set(self._events), UP_WITHIN_S, "to stand")
        if "up" not in self._events:
            why = self._events.get("failed", {}).get("error", "its first process is gone")
            raise GuestFailed(f"cannot make the guest: {why}")

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return the answer; `GuestFailed` if it is a refusal."""
        with self._changed:
            self._number += 1
            number = self._number
        self._control.sendall(json.dumps({"id": number, **request}).encode() + b"\n")
        self._wait(lambda: number in self._answers or "gone" in self._events, 10, "to answer")
        answer = self._answers.pop(number, {"error": "it is gone"})
        if "error" in answer:
            raise GuestFailed(f"the guest cannot do {request}: {answer['error']}")
        return answer

    def await_exit(self, pid: int, within_s: float) -> int:
        """How a process ended; a negative code is the signal."""
        self._wait(
            lambda: pid in self._exits or "gone" in self._events, within_s, f"to end process {pid}"
        )
        return self._exits[pid]

    def find_exit(self, pid: int) -> Optional[int]:
        """How a process ended, or None while it runs."""
        return self._exits.get(pid)

    def close(self) -> None:
        """End it, and with it everything in its namespaces."""
        self._control.shutdown(socket.SHUT_RDWR)
        try:
            self._outer.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._outer.send_signal(signal.SIGKILL)
            self._outer.wait()
        self._thread.join(END_WITHIN_S)
        self._control.close()

    def _listen(self) -> None:
        pending = b""
        while True:
            try:
                data = self._control.recv(65536)
            except OSError:
                data = b""
            *lines, pending = (pending + data).split(b"\n")
            with self._changed:
                for line in lines:
                    self._note(json.loads(line))
                if not data:
                    self._events["gone"] = {}
                self._changed.notify_all()
            if not data:
                return

    def _note(self, facts: dict[str, Any]) -> None:
        if "id" in facts:
            self._answers[facts["id"]] = facts
        elif facts["event"] == "exit":
            self._exits[facts["pid"]] = facts["code"]
        else:
            self._events[facts["event"]] = facts

    def _wait(self, condition: Any, within_s: float, what: str) -> None:
        limit = time.monotonic() + within_s
        with self._changed:
            while not condition():
                left = limit - time.monotonic()
                if left <= 0:
                    raise GuestFailed(f"the guest took longer than {within_s:g} s {what}")
                self._changed.wait(left)
