"""Processes of the guest, as /proc shows them under the root. Ours are started elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from waagent.core import files
from waagent.core.system import System

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
        comm = (files.read_if_there(entry / "comm") or "").rstrip("\n")
        if comm != name[:COMM_LENGTH]:
            continue
        command = files.read_if_there(entry / "cmdline") or ""
        yield Process(int(entry.name), tuple(command.rstrip("\0").split("\0")))
