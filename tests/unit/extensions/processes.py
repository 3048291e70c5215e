"""Real processes that handlers' commands are, and that must be gone after a test."""

from __future__ import annotations

from pathlib import Path

from waagent.core.clock import SystemClock
from waagent.core.commands import Child, ProcessRunner, Spawn


class KeepingRunner(ProcessRunner):
    """Remembers what it started, for the test to end."""

    def __init__(self) -> None:
        super().__init__({})
        self.children: list[Child] = []

    def start(self, spawn: Spawn) -> Child:
        """See ``Runner.start``."""
        child = super().start(spawn)
        self.children.append(child)
        return child


def await_exit(child: Child) -> None:
    """Return when it has ended."""
    while child.poll() is None:
        descriptor = child.descriptor()
        SystemClock().wait(None, 1, *(() if descriptor is None else (descriptor,)))


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends(pid: int) -> bool:
    """Whether a process that was killed is gone soon: the kernel may take a moment."""
    return any(not is_alive(pid) or SystemClock().wait(None, 0.05) for _ in range(100))
