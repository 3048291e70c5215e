"""A guest whose environment thread is run turn by turn."""

from __future__ import annotations

from tests.support.machine import Guest
from waagent.core.clock import Stop
from waagent.core.conf import load
from waagent.core.context import Context
from waagent.core.events import Events
from waagent.core.paths import make_paths
from waagent.core.workers import Worker
from waagent.environment.thread import make_environment

LIB = "/var/lib/waagent"


def context_of(guest: Guest, conf: str = "") -> Context:
    """What the rooms of a child on this guest are given."""
    parsed = load(conf.encode(), "waagent.conf").conf
    paths = make_paths(guest.system, parsed)
    paths.lib.mkdir(parents=True, exist_ok=True)
    return Context(guest.system, parsed, paths, Events(paths.events, guest.clock), Stop())


def thread_of(guest: Guest, conf: str = "") -> Worker:
    """Its environment thread, not started."""
    return make_environment(context_of(guest, conf), guest.profile)


def run_for(guest: Guest, worker: Worker, seconds: float) -> None:
    """Turns until that much time has passed."""
    end = guest.clock.monotonic() + seconds
    while guest.clock.monotonic() < end:
        assert worker.turn()


def process_files(pid: int, name: str, begin: int = 100) -> dict[str, str]:
    """What /proc shows of a process."""
    fields = ["S", "1", *["0"] * 17, str(begin), *["0"] * 20]
    return {
        f"/proc/{pid}/comm": f"{name}\n",
        f"/proc/{pid}/cmdline": f"{name}\0-4\0eth0\0",
        f"/proc/{pid}/stat": f"{pid} ({name}) {' '.join(fields)}\n",
    }
