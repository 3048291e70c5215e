"""What the guest's kernel counts, read at one moment, and what lies between two such moments.

The guest runs one shell script; what it printed is read here. No Python runs in the guest for
this: its pages would be shared with the agent's, and the agent's share (PSS) would look smaller.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Optional

TICKS_PER_S = 100  # USER_HZ, the same on every architecture that Linux has today
SECTOR = 512
KIB = 1024

# $1 is the unit. First what happened until now, then writes that wait, then all counters.
SCRIPT = r"""
trace=/sys/kernel/tracing
if [ -e $trace/events/task/task_newtask/enable ]; then
  echo '==> trace <=='
  grep -v '^#' $trace/trace
  echo 1 >$trace/events/task/task_newtask/enable
  echo 1 >$trace/events/sched/sched_process_exec/enable
fi
group=$(systemctl show --value -p ControlGroup "$1")
set -- /proc/stat /proc/diskstats
if [ -n "$group" ] && [ -d "/sys/fs/cgroup$group" ]; then
  for name in cpu.stat io.stat memory.current memory.peak; do
    [ ! -e "/sys/fs/cgroup$group/$name" ] || set -- "$@" "/sys/fs/cgroup$group/$name"
  done
  for pid in $(find "/sys/fs/cgroup$group" -name cgroup.procs -exec cat {} +); do
    set -- "$@" /proc/$pid/smaps_rollup /proc/$pid/stat /proc/$pid/io /proc/$pid/cmdline
    set -- "$@" /proc/$pid/task/*/comm
  done
fi
sync
tail -v -n +1 /proc/uptime "$@" 2>/dev/null
[ ! -e $trace/trace ] || : >$trace/trace
"""


@dataclass(frozen=True)
class Process:
    """One process of the agent's control group."""

    pid: int
    parent: int
    command: str
    started_s: float
    own_cpu_s: float
    children_cpu_s: float
    pss_bytes: int
    rss_bytes: int
    written_bytes: int
    threads: tuple[int, ...]


@dataclass(frozen=True)
class Snapshot:
    """All counters at one moment; `uptime_s` says which."""

    uptime_s: float
    processes: tuple[Process, ...]
    forks_of_all: int
    disk_written_bytes: int
    group_cpu_s: float
    group_written_bytes: int
    group_memory_bytes: int
    trace: Optional[tuple[str, ...]] = field(default=None, repr=False)  # None: not traced

    def find(self, pid: int) -> Optional[Process]:
        """A process by its number."""
        return next((p for p in self.processes if p.pid == pid), None)

    def family(self, main: int) -> tuple[Process, ...]:
        """The daemon and what descends from it, the daemon first."""
        known = {main}
        while True:
            more = {p.pid for p in self.processes if p.parent in known} - known
            if not more:
                break
            known |= more
        members = [p for p in self.processes if p.pid in known]
        return tuple(sorted(members, key=lambda p: (p.pid != main, p.started_s)))


def parse_snapshot(text: str) -> Snapshot:
    """What the script printed; `ValueError` for something else."""
    parts = _split(text)
    if "/proc/uptime" not in parts:
        raise ValueError(f"cannot find the uptime in what the guest printed: {text[:200]!r}")
    group = {name.rpartition("/")[2]: v for name, v in parts.items() if "/sys/fs/cgroup" in name}
    numbers = sorted({int(m[1]) for name in parts if (m := re.match(r"/proc/(\d+)/stat$", name))})
    return Snapshot(
        uptime_s=float(parts["/proc/uptime"].split()[0]),
        processes=tuple(p for n in numbers if (p := _process(n, parts)) is not None),
        forks_of_all=_field(parts.get("/proc/stat", ""), "processes"),
        disk_written_bytes=_sectors_written(parts.get("/proc/diskstats", "")) * SECTOR,
        group_cpu_s=_field(group.get("cpu.stat", ""), "usage_usec") / 1e6,
        group_written_bytes=sum(
            int(n) for n in re.findall(r"wbytes=(\d+)", group.get("io.stat", ""))
        ),
        group_memory_bytes=int(group.get("memory.current", "0").strip() or 0),
        trace=tuple(parts["trace"].splitlines()) if "trace" in parts else None,
    )


def _split(text: str) -> dict[str, str]:
    """The files that `tail -v` printed, by their names."""
    pieces = re.split(r"(?m)^==> (.+) <==\n", text)
    return {name: body.rstrip("\n") for name, body in zip(pieces[1::2], pieces[2::2])}


def _field(text: str, name: str) -> int:
    found = re.search(rf"(?m)^{name}:?\s+(\d+)", text)
    return int(found[1]) if found else 0


def _sectors_written(diskstats: str) -> int:
    """Of whole disks: the image has no partitions."""
    rows = [line.split() for line in diskstats.splitlines()]
    return sum(int(row[9]) for row in rows if len(row) > 9 and row[2] == "vda")


def _process(pid: int, parts: dict[str, str]) -> Optional[Process]:
    """None for one that ended while it was looked at."""
    rollup = parts.get(f"/proc/{pid}/smaps_rollup", "")
    fields = parts[f"/proc/{pid}/stat"].rpartition(")")[2].split()
    if len(fields) < 20 or not rollup:
        return None
    command = parts.get(f"/proc/{pid}/cmdline", "").replace("\0", " ").strip()
    task = re.compile(rf"/proc/{pid}/task/(\d+)/comm")
    return Process(
        pid=pid,
        parent=int(fields[1]),
        command=command,
        started_s=int(fields[19]) / TICKS_PER_S,
        own_cpu_s=(int(fields[11]) + int(fields[12])) / TICKS_PER_S,
        children_cpu_s=(int(fields[13]) + int(fields[14])) / TICKS_PER_S,
        pss_bytes=_field(rollup, "Pss") * KIB,
        rss_bytes=_field(rollup, "Rss") * KIB,
        written_bytes=_field(parts.get(f"/proc/{pid}/io", ""), "write_bytes"),
        threads=tuple(sorted(int(m[1]) for name in parts if (m := task.fullmatch(name)))),
    )
