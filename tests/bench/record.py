"""One round's raw numbers, as they go to the JSON file; moments are seconds since power on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from tests.bench.snapshot import Process, Snapshot
from tests.bench.traces import count_started


@dataclass
class Boot:
    """A first boot or a restart: what happened when. None is a moment that never came."""

    service_s: Optional[float] = None  # the unit's process was started
    active_s: Optional[float] = None  # systemd calls the unit active
    kernel_s: Optional[float] = None
    userspace_s: Optional[float] = None
    system_up_s: Optional[float] = None  # systemd has done all that a boot wants
    provisioning_s: Optional[float] = None  # these four as the fabric heard them
    ready_s: Optional[float] = None
    child_s: Optional[float] = None
    status_s: Optional[float] = None
    extension_s: Optional[float] = None
    requests_s: list[float] = field(default_factory=list)
    clock_uncertainty_s: float = 0.0
    clock_drift_ppm: float = 0.0
    restarts_of_the_unit: int = 0

    def since_service(self, moment: Optional[float]) -> Optional[float]:
        """Seconds from the start of the service to a moment."""
        if moment is None or self.service_s is None:
            return None
        return moment - self.service_s


@dataclass
class Window:
    """What the guest did between two snapshots."""

    seconds: float
    cpu_s: float
    cpu_own_s: float
    cpu_children_s: float
    processes: Optional[int]  # None where the kernel cannot trace
    threads: Optional[int]
    programs: list[str]
    processes_of_others: Optional[int]  # by the same list; all but these two the list has missed
    processes_of_all: int
    disk_written_bytes: int
    group_written_bytes: int
    processes_written_bytes: int
    requests: dict[str, int] = field(default_factory=dict)


@dataclass
class Memory:
    """The agent's processes after the window."""

    daemon_pss_bytes: int
    daemon_rss_bytes: int
    child_pss_bytes: int
    child_rss_bytes: int
    group_bytes: int
    commands: dict[int, str]


@dataclass
class Round:
    """One fresh machine with one agent."""

    agent: str
    number: int
    load_before: float
    failed: Optional[str] = None
    boot: Boot = field(default_factory=Boot)
    changes_s: list[float] = field(default_factory=list)
    idle: Optional[Window] = None
    alone: Optional[Window] = None  # the same window with the service stopped
    memory: Optional[Memory] = None
    version_s: list[float] = field(default_factory=list)
    python_s: list[float] = field(default_factory=list)
    handler_s: list[float] = field(default_factory=list)
    restart: Optional[Boot] = None
    violations: list[str] = field(default_factory=list)
    took_s: float = 0.0


def compare(start: Snapshot, end: Snapshot, main: int, requests: Mapping[str, int]) -> Window:
    """The window between two snapshots; `main` is the daemon, 0 for a stopped service."""
    before = {p.pid: p for p in start.family(main)}
    after = [p for p in end.family(main) if p.pid in before]
    own = [t for p in before.values() for t in p.threads]
    started = None if end.trace is None else count_started(end.trace, own)
    return Window(
        seconds=end.uptime_s - start.uptime_s,
        cpu_s=end.group_cpu_s - start.group_cpu_s,
        cpu_own_s=sum(p.own_cpu_s - before[p.pid].own_cpu_s for p in after),
        cpu_children_s=_by_children(before, end, main),
        processes=None if started is None else started.processes,
        threads=None if started is None else started.threads,
        programs=[] if started is None else list(started.programs),
        processes_of_others=None if started is None else started.processes_of_others,
        processes_of_all=end.forks_of_all - start.forks_of_all,
        disk_written_bytes=end.disk_written_bytes - start.disk_written_bytes,
        group_written_bytes=end.group_written_bytes - start.group_written_bytes,
        processes_written_bytes=sum(p.written_bytes - before[p.pid].written_bytes for p in after),
        requests=dict(requests),
    )


def _by_children(before: Mapping[int, Process], end: Snapshot, main: int) -> float:
    """CPU of children that were waited for, by all who are still there."""
    return sum(
        p.children_cpu_s - before[p.pid].children_cpu_s for p in end.family(main) if p.pid in before
    )


def read_memory(snapshot: Snapshot, main: int) -> Memory:
    """What the daemon takes, and all below it."""
    family = snapshot.family(main)
    daemons = [p for p in family if p.pid == main]
    children = [p for p in family if p.pid != main]
    return Memory(
        daemon_pss_bytes=sum(p.pss_bytes for p in daemons),
        daemon_rss_bytes=sum(p.rss_bytes for p in daemons),
        child_pss_bytes=sum(p.pss_bytes for p in children),
        child_rss_bytes=sum(p.rss_bytes for p in children),
        group_bytes=snapshot.group_memory_bytes,
        commands={p.pid: p.command for p in snapshot.processes},
    )


def find_child_start(snapshot: Snapshot, main: int) -> Optional[float]:
    """When the first of the daemon's living children was started, by the guest's clock."""
    return min((p.started_s for p in snapshot.family(main) if p.pid != main), default=None)


def to_plain(value: Any) -> Any:
    """Numbers rounded to microseconds, for a JSON file that people can read."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(v) for v in value]
    return value
