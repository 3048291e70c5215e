"""Kill a first boot exactly where it hurts: while a request or a command of it hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Callable, Optional

from tests.demo.guest import Guest
from tests.fabric import Settings, Vm, echo_extension, first_boot
from tests.fabric.faults import HANG

REACHED = "/run/kill-point"
GO_ON = "/run/go-on"
CALLS = "/var/log/extension-calls.txt"
RUNS = "/var/log/custom-data-runs"
DAEMON, CHILD = "-daemon", "-run-exthandlers"
PATIENCE_S = 30.0
REAL = {
    "umount": "/usr/bin/umount",
    "useradd": "/usr/sbin/useradd",
    "chpasswd": "/usr/sbin/chpasswd",
    "visudo": "/usr/sbin/visudo",
    "sshd": "/usr/sbin/sshd",
    "ssh-keygen": "/usr/bin/ssh-keygen",
    "eject": "/bin/true",  # ejecting is for machines with a drive
}


@dataclass(frozen=True)
class Kill:
    """One point of a first boot.

    Before or ``after`` a command; while the fabric does not answer a request, which is asked
    after the command if there is one; when a text stands in a file.
    """

    name: str
    command: Optional[str] = None
    after: bool = False
    endpoint: Optional[str] = None
    text: Optional[tuple[str, str]] = None
    victim: str = DAEMON
    pause_s: int = 0

    def vm(self) -> Vm:
        """A machine whose extension takes its time if the point is in there."""
        vm = first_boot()
        settings = Settings(0, {"echo": "first", "pause": self.pause_s}, {"secret": "secret"})
        extension = replace(echo_extension(), settings=(settings,))
        goal = replace(vm.goal, extensions=(extension,))
        return replace(vm, goal=goal, fast_goal=goal)

    def files(self) -> Mapping[str, str]:
        """The command that hangs in place of the real one; it ends as the real one would."""
        if self.command is None:
            return {}
        real = f'"{REAL[self.command]}" "$@"'
        wait = f"touch {REACHED}; while [ ! -e {GO_ON} ]; do sleep 0.05; done"
        steps = f"{real}; code=$?; {wait}; exit $code" if self.after else f"{wait}; exec {real}"
        return {
            f"/usr/local/sbin/{self.command}": (
                f"#!/bin/sh\n[ -e {GO_ON} ] && exec {real}\n{steps}\n"
            )
        }

    def arm(self, guest: Guest) -> None:
        """Before the start."""
        if self.command is not None:
            guest.path(f"/usr/local/sbin/{self.command}").chmod(0o755)
        elif self.endpoint is not None:
            guest.fabric.fault(self.endpoint, HANG, count=1)

    def strike(self, guest: Guest, daemon: int) -> None:
        """Wait until the boot is there, kill, and let what hung go on as it would have."""
        self._await_point(guest)
        guest.kill(self._victim_of(guest, daemon))
        if self.victim == DAEMON:
            guest.await_exit(daemon)
        guest.path(GO_ON).touch()
        guest.fabric.clear_faults()

    def _await_point(self, guest: Guest) -> None:
        if self.command is not None:
            await_true(lambda: guest.exists(REACHED), self.name)
        if self.command is not None and self.endpoint is not None:
            guest.fabric.fault(self.endpoint, HANG, count=1)
            guest.path(GO_ON).touch()
        if self.endpoint is not None:
            board = guest.fabric.world.board
            await_true(lambda: not board.list(), self.name)
        if self.text is not None:
            path, text = self.text
            await_true(lambda: guest.exists(path) and text in guest.read(path), self.name)

    def _victim_of(self, guest: Guest, daemon: int) -> int:
        if self.victim == DAEMON:
            return daemon
        return next(pid for pid, (_, words) in guest.processes.items() if self.victim in words)


def await_true(condition: Callable[[], bool], what: str) -> None:
    """Wait for what no event tells of: files and processes of the guest."""
    deadline = time.monotonic() + PATIENCE_S
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not reached within {PATIENCE_S:g} s")
        pause.wait(0.01)


KILLS = (
    Kill("the fabric is asked for its versions", endpoint="wire.versions"),
    Kill("host keys are being made", command="ssh-keygen"),
    Kill("media read and saved, still mounted", command="umount"),
    Kill("certificates are on their way", endpoint="wire.certificates"),
    Kill("NotReady/Provisioning is on its way", endpoint="wire.health"),
    Kill("account about to be made", command="useradd"),
    Kill("account made, no password yet", command="useradd", after=True),
    Kill("password about to be set", command="chpasswd"),
    Kill("password set, no sudoers yet", command="chpasswd", after=True),
    Kill("sudoers written beside, not in place", command="visudo"),
    Kill("sshd_config written beside, not in place", command="sshd"),
    Kill("account ready, media about to be ejected", command="eject"),
    Kill("custom data is running", text=(RUNS, "run")),
    Kill("Ready is on its way", command="eject", endpoint="wire.health"),
    Kill("child: package is on its way", endpoint="storage.packages", victim=CHILD),
    Kill("child: extension runs enable", text=(CALLS, "== enable"), victim=CHILD, pause_s=2),
    Kill("child: status is on its way", endpoint="hgap.status", victim=CHILD),
    Kill("daemon, while its child reports", endpoint="hgap.status"),
    Kill("daemon, while an extension runs enable", text=(CALLS, "== enable"), pause_s=2),
)
