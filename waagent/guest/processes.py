"""Processes of the guest, as /proc shows them under the root. Ours are started elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from waagent.core import files
from waagent.core.errors import GuestError
from waagent.core.system import System

LARGEST = 1024 * 1024
COMM_LENGTH = 15  # the kernel cuts names there


@dataclass(frozen=True)
class Process:
    """A process that runs: its id and its command line."""

    pid: int
    argv: tuple[str, ...]


def find_processes(system: System, name: str) -> tuple[Process, ...]:
    """The processes whose program has that name, by pid; what ends meanwhile is left out."""
    return tuple(sorted(_matching(system, name), key=lambda process: process.pid))


def is_running(system: System, pid: int) -> bool:
    """Whether a process with that id exists."""
    return system.path(f"/proc/{pid}").is_dir()


def _matching(system: System, name: str) -> Iterator[Process]:
    folder = system.path("/proc")
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if not entry.name.isdigit():
            continue
        if _read(entry / "comm").rstrip("\n") == name[:COMM_LENGTH]:
            command = _read(entry / "cmdline")
            yield Process(int(entry.name), tuple(command.rstrip("\0").split("\0")))


def _read(path: Path) -> str:
    """The text; empty for a process that ended, and for a command line without end."""
    try:
        return files.read_text(path, limit=LARGEST)
    except (OSError, GuestError):
        return ""
