"""The only door to the world outside this process: rooted paths, commands, time."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from waagent.core.clock import Clock, SystemClock
from waagent.core.commands import Child, ProcessRunner, Result, Runner, Spawn

MAX_LINKS = 40
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class System:
    """This machine, or a folder that stands for one."""

    root: Path
    runner: Runner
    clock: Clock
    environment: Mapping[str, str] = field(default_factory=dict)

    def path(self, absolute: str) -> Path:
        """Where an absolute path of the guest lies; links are followed as if the root were ``/``.

        Links are followed here and nowhere else, on a machine as in a test's folder: what is
        written to the result keeps a link (/etc/resolv.conf) and replaces what it points to. The
        last part need not exist. ``..`` stops at the root. Too many links are the ``OSError``
        that the kernel has for them.
        """
        return self.root.joinpath(*self._resolve(_parts(absolute), absolute))

    def entry(self, absolute: str) -> Path:
        """Where the name itself lies, be it a link: to look at it, make it or remove it."""
        parts = _parts(absolute)
        if not parts or parts[-1] == "..":
            return self.path(absolute)
        return self.root.joinpath(*self._resolve(parts[:-1], absolute), parts[-1])

    def within(self, path: Path) -> str:
        """The guest's own name for a path that ``path()`` gave."""
        return str(Path("/") / path.relative_to(self.root))

    def run(self, *argv: str, stdin: Optional[bytes] = None, timeout_s: float = 300.0) -> Result:
        """Run a command to its end; a missing program is code -1, a late one an error.

        Raises ``CommandTimedOut``; ask ``.check()`` of the result to have a failure raised.
        """
        return self.runner.run(argv, stdin=stdin, timeout_s=timeout_s)

    def start(self, spawn: Spawn) -> Child:
        """Start a child that outlives the call; raises ``CommandFailed`` if it cannot start."""
        return self.runner.start(spawn)

    def has_command(self, name: str) -> bool:
        """Whether a program of that name is on the guest's PATH."""
        folders = self.environment.get("PATH", DEFAULT_PATH).split(":")
        return any(self._is_program(f"{folder}/{name}") for folder in folders if folder)

    def _is_program(self, absolute: str) -> bool:
        with contextlib.suppress(OSError):  # a loop of links, a folder that is closed to us
            path = self.path(absolute)
            return path.is_file() and os.access(path, os.X_OK)
        return False

    def _resolve(self, parts: list[str], absolute: str) -> list[str]:
        resolved: list[str] = []
        pending = list(reversed(parts))
        links = 0
        while pending:
            part = pending.pop()
            if part == "..":
                resolved = resolved[:-1]
                continue
            target = _link_target(self.root.joinpath(*resolved, part))
            if target is None:
                resolved.append(part)
                continue
            links += 1
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), absolute)
            if target.startswith("/"):
                resolved = []
            pending.extend(reversed(_parts(target)))
        return resolved


def real_system(changes: Optional[Mapping[str, str]] = None) -> System:
    """This machine; ``changes`` are added to the environment of all that we start."""
    environment = {**os.environ, **(changes or {})}
    return System(Path("/"), ProcessRunner(environment), SystemClock(), environment)


def _link_target(path: Path) -> Optional[str]:
    try:
        return str(path.readlink())
    except (OSError, ValueError):  # no link, not there or closed to us: whoever uses it will hear
        return None


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
