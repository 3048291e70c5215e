"""The guest's first process: builds its view, starts what it is told, and reaps everything.

It speaks JSON lines over a socket with the one who started it, and ends when that one does.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import sys
from typing import Any

from tests.demo.blocks import await_release
from tests.demo.namespaces import (
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUTS,
    unshare,
)
from tests.demo.plan import GuestPlan, parse_plan
from tests.demo.view import build_view, confine

OWN = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS

# The other side decides when it ends, by closing the socket; what is started hears them as usual.
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Init:
    """Process 1."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._started: set[int] = set()
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def boot(self, plan: GuestPlan) -> None:
        """Build the view, take what must not be, and say that the guest stands."""
        self._view = build_view(plan)
        socket.sethostname(plan.hostname)
        confine()
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._say({"event": "up", "written": self._view.written})

    def serve(self) -> None:
        """Obey until the other side is gone; then the kernel ends all that is left."""
        pending = b""
        while True:
            ready, _, _ = select.select([self._control, self._reader], [], [])
            if self._reader in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._reader, 4096)
                self._reap()
            if self._control in ready:
                data = self._control.recv(65536)
                if not data:
                    return
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))

    def _obey(self, request: dict[str, Any]) -> None:
        try:
            answer = self._start(request) if "start" in request else self._signal(request)
        except OSError as e:
            answer = {"error": str(e)}
        self._say({"id": request["id"], **answer})

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        argv = request["start"]
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawnp(
            argv[0],
            argv,
            request["environment"],
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, request["output"], flags, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigdef=[*IGNORED, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ],
        )
        self._started.add(pid)
        return {"pid": pid}

    def _signal(self, request: dict[str, Any]) -> dict[str, Any]:
        os.kill(request["pid"], request["signal"])
        return {}

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid in self._started:
                self._started.discard(pid)
                code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
                self._say({"event": "exit", "pid": pid, "code": code})

    def _say(self, facts: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._control.sendall(json.dumps(facts).encode() + b"\n")


def read_plan(control: socket.socket) -> GuestPlan:
    """The first line that the other side sends."""
    text = b""
    while not text.endswith(b"\n"):
        text += control.recv(65536) or b"\n"
    return parse_plan(text.decode())


def first_process(control: socket.socket, plan: GuestPlan) -> int:
    """The main of process 1: everything that goes wrong is told to the other side."""
    try:
        unshare(OWN)
        init = Init(control)
        init.boot(plan)
        init.serve()
    except Exception as e:  # noqa: BLE001  the main of a process: say why, then end
        facts = {"event": "failed", "error": f"{type(e).__name__}: {e}"}
        with contextlib.suppress(OSError):
            control.sendall(json.dumps(facts).encode() + b"\n")
        return 1
    return 0


def main(argv: list[str]) -> int:
    """Start the first process, and clean up behind it however it, or whoever asked, ended.

    This process stays in the machine's own namespaces.
    """
    control = socket.socket(fileno=int(argv[0]))
    plan = read_plan(control)
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    unshare(CLONE_NEWPID)
    pid = os.fork()
    if not pid:
        os._exit(first_process(control, plan))
    with contextlib.suppress(OSError):  # who asked may be gone already: clean up all the same
        control.sendall(json.dumps({"event": "born", "pid": pid}).encode() + b"\n")
    control.close()
    _, status = os.waitpid(pid, 0)
    await_release(plan.image)
    shutil.rmtree(plan.folder, ignore_errors=True)
    return 0 if status == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
