"""The real child in a folder, run fast, and what it costs: memory, descriptors, threads, files."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Optional

from tests.fabric import Fabric
from tests.support.agent import RootedAgent
from tests.support.child_process import end_child, leave_endpoint, start_child

GOAL_STATES = int(os.environ.get("ENDURANCE_GOAL_STATES", "8"))
IS_LONG = GOAL_STATES >= 500
SPEED = 20.0
CALLS = "extension-calls.txt"


@dataclass(frozen=True)
class Sample:
    """What the child has at one moment; ``own_kb`` is what it shares with nobody."""

    pss_kb: int
    own_kb: int
    descriptors: int
    threads: int
    lib: int
    logs: int
    history: int
    spool: int

    def __str__(self) -> str:
        return (
            f"{self.pss_kb:6} kB PSS {self.own_kb:6} kB own {self.descriptors:3} descriptors"
            f" {self.threads:2} threads; files: {self.lib:4} in lib, {self.logs:3} logs,"
            f" {self.history:2} in history, {self.spool:3} events"
        )


class Child:
    """One child process and its machine; leaving the context ends it, and shows why it failed."""

    def __init__(self, folder: Path, fabric: Fabric, *, speed: float = SPEED) -> None:
        self.fabric = fabric
        self.root = folder / "machine"
        self.offset = folder / "offset"
        self._output = folder / "output"
        machine = RootedAgent(self.root, fabric)
        leave_endpoint(machine)
        self.paths = machine.paths
        for name in ("meminfo", "stat"):
            (self.root / "proc").mkdir(exist_ok=True)
            (self.root / "proc" / name).write_bytes((Path("/proc") / name).read_bytes())
        self._speed = speed
        self._process: Optional[subprocess.Popen[bytes]] = None

    def __enter__(self) -> Child:
        with self._output.open("ab") as output:
            self._process = start_child(
                self.root,
                self.fabric.address_book,
                str(self._speed),
                str(self.offset),
                module="tests.endurance.child",
                output=output,
            )
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        code = end_child(self._running())
        if kind is not None or code != 0:
            print(self._output.read_text(encoding="utf-8", errors="replace")[-8000:])
        assert kind is not None or code == 0, f"the child ended with {code}"

    def set_wall_clock(self, seconds: float) -> None:
        """From now on the wall clock is off by so much."""
        new = self.offset.with_suffix(".new")
        new.write_text(str(seconds), encoding="ascii")
        new.replace(self.offset)

    def calls(self, operation: str) -> list[str]:
        """The handlers whose command of that name was run, in that order."""
        path = next(path for path in self._call_files() if path.exists())
        mark = f"== {operation} handler="
        lines = path.read_text(encoding="utf-8").splitlines()
        return [line[len(mark) :].split(" ")[0] for line in lines if line.startswith(mark)]

    def output(self) -> str:
        """All that it logged."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def _call_files(self) -> tuple[Path, ...]:
        return (self.paths.lib.parent.parent / "log" / CALLS, self.paths.lib / CALLS)

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the child was not started"
        return self._process

    def sample(self) -> Sample:
        """What it has now."""
        proc = Path("/proc") / str(self._running().pid)
        memory = {}
        for line in (proc / "smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
            name, amount = line.split()[:2]
            memory[name.rstrip(":")] = int(amount)
        return Sample(
            pss_kb=memory["Pss"],
            own_kb=memory["Private_Clean"] + memory["Private_Dirty"],
            descriptors=len(list((proc / "fd").iterdir())),
            threads=len(list((proc / "task").iterdir())),
            lib=_count(self.paths.lib, but=(self.paths.history, self.paths.events)),
            logs=_count(self.paths.lib.parent.parent / "log"),
            history=len(list(self.paths.history.iterdir())),
            spool=_count(self.paths.events),
        )


def _count(folder: Path, but: tuple[Path, ...] = ()) -> int:
    """The files below a folder that stay: those that are being written are none of them yet."""
    count = 0
    for place, names, files in os.walk(folder):
        names[:] = [name for name in names if Path(place) / name not in but]
        count += sum(".tmp" not in name and name != CALLS for name in files)
    return count
