"""Who started which process or thread: the kernel's own list of both, read. Pure.

`task_newtask` names the one who starts and the new one, `sched_process_exec` the program that it
becomes. What descends from the agent's threads is the agent's; all else is the guest's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

CLONE_THREAD = 0x00010000
NEW = re.compile(r"-(\d+)\s+\[.*: task_newtask: pid=(\d+) comm=(.*) clone_flags=([0-9a-f]+)")
BECOMES = re.compile(r"-(\d+)\s+\[.*: sched_process_exec: filename=(\S*) pid=(\d+)")


@dataclass(frozen=True)
class Started:
    """What an agent started in a window, and what the guest started by itself."""

    processes: int
    threads: int
    programs: tuple[str, ...]
    processes_of_others: int


def count_started(lines: Iterable[str], agent_threads: Iterable[int]) -> Started:
    """Follow the agent's threads through the list."""
    family = set(agent_threads)
    processes = threads = others = 0
    programs: list[str] = []
    for line in lines:
        if (new := NEW.search(line)) is not None:
            parent, pid, flags = int(new[1]), int(new[2]), int(new[4], 16)
            is_thread = bool(flags & CLONE_THREAD)
            if parent in family:
                family.add(pid)
                threads += is_thread
                processes += not is_thread
            else:
                family.discard(pid)  # a number that was used before
                others += not is_thread
        elif (becomes := BECOMES.search(line)) is not None and int(becomes[1]) in family:
            programs.append(becomes[2])
    return Started(processes, threads, tuple(programs), others)
