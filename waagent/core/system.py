"""The only door to the world outside this process: rooted paths, commands, time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from waagent.core.clock import Clock, SystemClock
from waagent.core.commands import Begun, Child, ProcessRunner, Result, Runner, Spawn
from waagent.core.records import dataclass, field
from waagent.core.rooted import Rooted

KERNEL_HOSTNAME = "/proc/sys/kernel/hostname"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class System(Rooted):
    """This machine, or a folder that stands for one."""

    root: Path
    runner: Runner
    clock: Clock
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *argv: str, stdin: Optional[bytes] = None, timeout_s: float = 300.0) -> Result:
        """Run a command to its end; a missing program is code -1, a late one an error.

        Raises ``CommandTimedOut``; ask ``.check()`` of the result to have a failure raised.
        """
        return self.runner.run(argv, stdin=stdin, timeout_s=timeout_s)

    def begin(self, *argv: str) -> Begun:
        """Start a command that is to be run to its end once there is something for it to read."""
        return self.runner.begin(argv)

    def start(self, spawn: Spawn) -> Child:
        """Start a child that outlives the call; raises ``CommandFailed`` if it cannot start."""
        return self.runner.start(spawn)

    def set_kernel_hostname(self, name: str) -> None:
        """Give the kernel a host name until the next start.

        By sethostname(2), which needs neither a program nor a /proc/sys that can be written.
        Raises ``OSError`` where the kernel does not take it, as in a container.
        """
        if self.root == Path("/"):
            from waagent.core import sockets

            sockets.set_kernel_hostname(name)
        else:
            self.path(KERNEL_HOSTNAME).write_text(f"{name}\n", encoding="utf-8")

    def has_command(self, name: str) -> bool:
        """Whether a program of that name is on the guest's PATH."""
        folders = self.environment.get("PATH", DEFAULT_PATH).split(":")
        return any(self._is_program(f"{folder}/{name}") for folder in folders if folder)

    def _is_program(self, absolute: str) -> bool:
        with contextlib.suppress(OSError):  # a loop of links, a folder that is closed to us
            path = self.path(absolute)
            return path.is_file() and os.access(path, os.X_OK)
        return False


def real_system(changes: Optional[Mapping[str, str]] = None) -> System:
    """This machine; ``changes`` are added to the environment of all that we start."""
    environment = {**os.environ, **(changes or {})}
    return System(Path("/"), ProcessRunner(environment), SystemClock(), environment)
