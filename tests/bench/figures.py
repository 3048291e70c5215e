"""What is compared: figures of a round, what a budget means, and the verdict. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, Optional

from tests.bench.record import Round

MIB = 1024 * 1024

# A budget says what the judged agent's median may be, by the peer's median in the same run.
HALF, LESS, ZERO, FREE = "half of the peer", "less than the peer", "none", "no budget"
OK, OVER, UNKNOWN = "ok", "OVER", "?"


@dataclass(frozen=True)
class Figure:
    """One row: how it is read from a round, and what was recorded of the reference agent."""

    key: str
    title: str
    unit: str
    budget: str
    recorded: str
    read: Callable[[Round], Sequence[Optional[float]]]


@dataclass(frozen=True)
class Values:
    """What was measured of one agent, over all rounds, and whether one of these ended early."""

    all: tuple[float, ...]
    failed: bool = False

    @property
    def median(self) -> Optional[float]:
        """None when it was never measured."""
        return statistics.median(self.all) if self.all else None


@dataclass(frozen=True)
class Row:
    """A figure of all agents; the first is judged against the last."""

    figure: Figure
    values: tuple[Values, ...]
    limit: Optional[float]
    verdict: str

    @property
    def ratio(self) -> Optional[float]:
        """The first agent's median in parts of the last one's."""
        ours, peer = self.values[0].median, self.values[-1].median
        if len(self.values) < 2 or ours is None or not peer or peer < 0:
            return None
        return ours / peer


def judge(budget: str, ours: Optional[float], peer: Optional[float]) -> tuple[Optional[float], str]:
    """The limit that a budget means, and whether it is kept; `UNKNOWN` if that cannot be said."""
    if budget == FREE:
        return None, ""
    if budget == ZERO:
        return 0.0, UNKNOWN if ours is None else (OK if ours <= 0 else OVER)
    if peer is None or peer <= 0:
        return None, UNKNOWN
    limit = peer / 2 if budget == HALF else peer
    if ours is None:
        return limit, OVER
    return limit, OK if ours < limit or (budget == HALF and ours == limit) else OVER


def build_rows(rounds: Sequence[Round], agents: Sequence[str]) -> list[Row]:
    """Every figure, with the verdict where there is a peer."""
    rows = []
    for figure in FIGURES:
        values = tuple(_gather(figure, rounds, agent) for agent in agents)
        limit, verdict = None, ""
        if len(agents) > 1:
            limit, verdict = judge(figure.budget, values[0].median, values[-1].median)
        rows.append(Row(figure, values, limit, verdict))
    return rows


def _gather(figure: Figure, rounds: Sequence[Round], agent: str) -> Values:
    own = [r for r in rounds if r.agent == agent]
    read = [v for r in own for v in figure.read(r) if v is not None]
    return Values(tuple(read), any(r.failed for r in own))


def _idle(r: Round, key: str, scale: float = 1.0) -> list[Optional[float]]:
    value = None if r.idle is None else getattr(r.idle, key)
    return [None if value is None else value / scale]


def _memory(r: Round, *keys: str) -> list[Optional[float]]:
    return [None if r.memory is None else sum(getattr(r.memory, k) for k in keys) / MIB]


def _beyond(r: Round, key: str, scale: float = 1.0) -> list[Optional[float]]:
    """What a window with the agent shows more than one without it."""
    if r.idle is None or r.alone is None:
        return [None]
    return [(getattr(r.idle, key) - getattr(r.alone, key)) / scale]


def _restart(r: Round) -> list[Optional[float]]:
    return [None if r.restart is None else r.restart.since_service(r.restart.status_s)]


def _requests(r: Round) -> list[Optional[float]]:
    return [None if r.idle is None else float(sum(r.idle.requests.values()))]


FIGURES = (
    Figure(
        "ready", "first boot: service start to Ready", "s", HALF, "19-22",
        lambda r: [r.boot.since_service(r.boot.ready_s)],
    ),
    Figure(
        "extension", "  to the first extension's success", "s", HALF, "32-37",
        lambda r: [r.boot.since_service(r.boot.extension_s)],
    ),
    Figure(
        "power_ready", "  power on to Ready", "s", FREE, "",
        lambda r: [r.boot.ready_s],
    ),
    Figure(
        "power_extension", "  power on to the extension's success", "s", FREE, "",
        lambda r: [r.boot.extension_s],
    ),
    Figure(
        "kernel", "  power on to systemd: no agent yet", "s", FREE, "",
        lambda r: [r.boot.userspace_s],
    ),
    Figure("change", "change of settings to success", "s", HALF, "7.3-9.6", lambda r: r.changes_s),
    Figure(
        "handler", "  the handler's own part of it", "s", FREE, "",
        lambda r: r.handler_s,
    ),
    Figure("restart", "restart: service start to status", "s", HALF, "12.3-16.3", _restart),
    Figure(
        "kernel_restart", "  the kernel's start to status", "s", FREE, "",
        lambda r: [None if r.restart is None else r.restart.status_s],
    ),
    Figure(
        "pss_daemon", "memory of the daemon (PSS)", "MiB", HALF, "23.8",
        lambda r: _memory(r, "daemon_pss_bytes"),
    ),
    Figure(
        "pss_child", "  of its child (PSS)", "MiB", FREE, "25.8",
        lambda r: _memory(r, "child_pss_bytes"),
    ),
    Figure(
        "pss_sum", "  of both (PSS)", "MiB", LESS, "49.6",
        lambda r: _memory(r, "daemon_pss_bytes", "child_pss_bytes"),
    ),
    Figure(
        "rss_sum", "  of both (RSS)", "MiB", FREE, "65.2",
        lambda r: _memory(r, "daemon_rss_bytes", "child_rss_bytes"),
    ),
    Figure("cpu", "idle: CPU, all of its group", "s", HALF, "3.0", lambda r: _idle(r, "cpu_s")),
    Figure("processes", "idle: processes started", "", ZERO, "3", lambda r: _idle(r, "processes")),
    Figure("threads", "idle: threads started", "", FREE, "(both)", lambda r: _idle(r, "threads")),
    Figure("requests", "idle: requests sent", "", FREE, "128", _requests),
    Figure(
        "written", "idle: disk beyond the guest's own", "MiB", HALF, "1.1",
        lambda r: _beyond(r, "disk_written_bytes", MIB),
    ),
    Figure(
        "written_group", "  by its control group alone", "MiB", FREE, "",
        lambda r: _idle(r, "group_written_bytes", MIB),
    ),
    Figure("version", "waagent -version", "s", HALF, "1.6-2.0", lambda r: r.version_s),
    Figure("python", "  bare Python beside it", "s", FREE, "0.16-0.20", lambda r: r.python_s),
    Figure(
        "violations", "breaks of the protocol", "", FREE, "",
        lambda r: [float(len(r.violations))],
    ),
)  # fmt: skip
