"""The only door to the world outside this process: rooted paths, commands, time."""

from __future__ import annotations

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

        The last part is not followed when it does not exist. ``..`` stops at the root. A loop of
        links ends at the loop, and using the result gives the kernel's error.
        """
        if self.root == Path("/"):
            return Path(absolute)
        return self.root.joinpath(*self._resolve(_parts(absolute)))

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
        candidates = (self.path(f"{folder}/{name}") for folder in folders if folder)
        return any(path.is_file() and os.access(path, os.X_OK) for path in candidates)

    def _resolve(self, parts: list[str]) -> list[str]:
        resolved: list[str] = []
        pending = list(reversed(parts))
        links = 0
        while pending:
            part = pending.pop()
            if part == "..":
                resolved = resolved[:-1]
                continue
            here = self.root.joinpath(*resolved, part)
            if links < MAX_LINKS and here.is_symlink():
                links += 1
                target = str(here.readlink())
                if target.startswith("/"):
                    resolved = []
                pending.extend(reversed(_parts(target)))
            else:
                resolved.append(part)
        return resolved


def real_system(changes: Optional[Mapping[str, str]] = None) -> System:
    """This machine; ``changes`` are added to the environment of all that we start."""
    environment = {**os.environ, **(changes or {})}
    return System(Path("/"), ProcessRunner(environment), SystemClock(), environment)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
