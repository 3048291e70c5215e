"""Processes of the guest, as /proc shows them under the root. Ours are started elsewhere."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from waagent.core import files
from waagent.core.commands import MARKER
from waagent.core.errors import GuestError
from waagent.core.records import dataclass
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


def find_orphans_of_ours(system: System) -> tuple[Process, ...]:
    """Commands that an agent started and did not live to see the end of.

    They carry the agent's mark in their environment, and their parent is the first process. A
    daemon that `-start` or an extension started is like that too: whoever asks is not among them.
    """
    found = []
    folder = system.path("/proc")
    ours = _line_of(folder, os.getpid())
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name in ours:
            continue
        is_marked = entry.name.isdigit() and "=".join(MARKER) in _read(entry / "environ")
        if is_marked and _parent_of(entry) == 1 and is_of_our_user(system, int(entry.name)):
            command = _read(entry / "cmdline")
            found.append(Process(int(entry.name), tuple(command.rstrip("\0").split("\0"))))
    return tuple(sorted(found, key=lambda process: process.pid))


def end_processes_of(system: System, uid: int) -> int:
    """Kill what runs as a user, but for what runs in containers; how many that were.

    A container's users are its own, though their numbers may be the same.
    """
    folder = system.path("/proc")
    here = _namespace(folder / "self")
    ended = 0
    for entry in folder.iterdir() if uid > 0 and here else ():
        if entry.name.isdigit() and _namespace(entry) == here and uid in _uids(entry):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(entry.name), signal.SIGKILL)
                ended += 1
    return ended


def is_running(system: System, pid: int) -> bool:
    """Whether a process with that id exists."""
    return system.path(f"/proc/{pid}").is_dir()


def is_of_our_user(system: System, pid: int) -> bool:
    """Whether it is our user's: anybody may call a process so, and put what he likes into it."""
    with contextlib.suppress(OSError):
        return system.path(f"/proc/{pid}").stat().st_uid == os.geteuid()
    return False


def find_begin(system: System, pid: int) -> Optional[int]:
    """When a process began, in the kernel's ticks since the boot; ``None`` once it has ended.

    With the number this is the process and no later one. A zombie has ended.
    """
    fields = _stat_of(system.path(f"/proc/{pid}"))
    if len(fields) < 20 or fields[0] in ("Z", "X") or not fields[19].isdigit():
        return None
    return int(fields[19])


def find_session(system: System, leader: int) -> tuple[int, ...]:
    """The processes of a session that still run; the session has its first process's number."""
    folder = system.path("/proc")
    found = []
    for entry in folder.iterdir() if folder.is_dir() else ():
        fields = _stat_of(entry) if entry.name.isdigit() else []
        if len(fields) > 3 and fields[0] not in ("Z", "X") and fields[3] == str(leader):
            found.append(int(entry.name))
    return tuple(found)


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


def _namespace(entry: Path) -> str:
    """The number of the process's own world of processes; empty where the kernel does not tell."""
    try:
        return str((entry / "ns/pid").readlink())
    except OSError:
        return ""


def _uids(entry: Path) -> set[int]:
    """The user as whom it was started, and as whom it acts."""
    for line in _read(entry / "status").splitlines():
        words = line.split()
        if words[:1] == ["Uid:"]:
            return {int(word) for word in words[1:3]}
    return set()


def _line_of(folder: Path, pid: int) -> set[str]:
    """A process and all above it."""
    line: set[str] = set()
    while pid > 0 and str(pid) not in line:
        line.add(str(pid))
        pid = _parent_of(folder / str(pid))
    return line


def _parent_of(entry: Path) -> int:
    """The parent's id, 0 if the process is gone."""
    fields = _stat_of(entry)
    return int(fields[1]) if len(fields) > 1 else 0


def _stat_of(entry: Path) -> list[str]:
    """The fields of proc_pid_stat(5) from the third on; the name before may hold anything."""
    return _read(entry / "stat").rpartition(") ")[2].split()


def _read(path: Path) -> str:
    """The text; empty for a process that ended, and for a command line without end."""
    try:
        return files.read_text(path, limit=LARGEST)
    except (OSError, GuestError):
        return ""
