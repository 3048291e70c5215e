"""A machine in a folder whose child is killed and started again, and how it then is."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from tests.fabric import Fabric
from tests.kills.package import package
from tests.kills.scenarios import Scenario
from tests.kills.victim import HANDLERS
from tests.support.agent import RootedAgent
from tests.support.child_process import end_child, leave_endpoint, start_child

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE_S = 40.0
Tree = dict[str, tuple[int, bytes]]


@dataclass(frozen=True)
class End:
    """How a machine is when all is done: commands in order, handlers' files, their statuses."""

    calls: tuple[str, ...]
    tree: Tree
    statuses: tuple[str, ...]
    steps: tuple[str, ...] = ()


class Machine:
    """One machine, one goal state, and its child's lives."""

    def __init__(self, root: Path, fabric: Fabric) -> None:
        self.root = root
        self.fabric = fabric
        self._heard = 0

    def start(self, last: Optional[int] = None) -> subprocess.Popen[bytes]:
        """Start the child; it dies before this step, if any."""
        self._heard = len(self.fabric.world.received.statuses)
        with (self.root / "output").open("ab") as output:
            return start_child(
                self.root,
                self.fabric.address_book,
                "" if last is None else str(last),
                module="tests.kills.victim",
                output=output,
            )

    def live(self, last: Optional[int] = None) -> None:
        """Start the child and wait for its end by SIGKILL."""
        process = self.start(last)
        try:
            code = process.wait(PATIENCE_S)
        finally:
            process.kill()
            process.wait()
        assert code == -signal.SIGKILL, self.output

    def converge(self, process: subprocess.Popen[bytes]) -> End:
        """Wait until the goal state is reported as carried out, and stop the child."""
        try:
            document = self.fabric.await_status(
                self.is_done, since=self._heard, within_s=PATIENCE_S
            )
            code = end_child(process, PATIENCE_S)
        finally:
            process.kill()
            process.wait()
        assert code == 0, f"{code}: {self.output}"
        told = tuple(each.replace(str(self.root), "") for each in handlers_of(document))
        return End(self.calls(), self._tree(), told, self._steps())

    def peek(self) -> tuple[str, ...]:
        """What the commands have written down and nobody has taken."""
        path = self.root / "calls"
        return tuple(path.read_text().splitlines()) if path.exists() else ()

    def calls(self) -> tuple[str, ...]:
        """What the commands wrote down since the last look."""
        lines = self.peek()
        (self.root / "calls").unlink(missing_ok=True)
        return lines

    @property
    def has_part_of_a_package(self) -> bool:
        """Whether some of a package has come."""
        found = (self.root / "var/lib/waagent").glob(f"{HANDLERS}*.zip")
        return any(path.stat().st_size for path in found)

    @property
    def output(self) -> str:
        """What the child's lives have logged."""
        return (self.root / "output").read_text()

    def _steps(self) -> tuple[str, ...]:
        return tuple((self.root / "steps").read_text().splitlines())

    def is_done(self, document: dict[str, Any]) -> bool:
        """Whether a status says that the goal state was carried out."""
        told = document["aggregateStatus"].get("vmArtifactsAggregateStatus", {})
        goal = told.get("goalStateAggregateStatus", {})
        number = str(self.fabric.vm.incarnation)
        return (str(goal.get("inSvdSeqNo")), goal.get("status")) == (number, "Success")

    def _tree(self) -> Tree:
        lib = self.root / "var/lib/waagent"
        found: Tree = {}
        for top in lib.iterdir():
            if not top.name.lstrip(".").startswith(HANDLERS):
                continue
            for path in (top, *top.rglob("*")):
                content = path.read_bytes() if path.is_file() else b"a folder"
                content = content.replace(str(self.root).encode(), b"")
                found[str(path.relative_to(lib))] = (path.stat().st_mode & 0o7777, content)
        return found


def handlers_of(document: dict[str, Any]) -> tuple[str, ...]:
    """What a status says of handlers, as text that can be compared."""
    items = document["aggregateStatus"]["handlerAggregateStatus"]
    return tuple(sorted(json.dumps(item, sort_keys=True) for item in items))


@contextlib.contextmanager
def machine(root: Path, scenario: Scenario, *, number: int = 2) -> Iterator[Machine]:
    """A machine whose fabric wants what a scenario ends with, or (number 1) begins with."""
    extensions = scenario.after if number == 2 else scenario.before
    with Fabric(scenario.vm(extensions, number)) as fabric:
        for extension in (*scenario.before, *scenario.after):
            for version in extension.versions:
                content = package(**dict(extension.manifest_options))
                fabric.world.packages[extension.name, version] = content
        if not root.exists():
            root.mkdir()
            leave_endpoint(RootedAgent(root, fabric))
        yield Machine(root, fabric)


class Stock:
    """Machines as they are before a scenario, and the ends of undisturbed runs; made once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bases: dict[str, Path] = {}
        self._ends: dict[str, End] = {}
        self._count = 0

    def copy(self, scenario: Scenario) -> Path:
        """The folder of a machine on which the scenario may begin."""
        base = self._bases.get(scenario.name)
        if base is None:
            base = self._bases[scenario.name] = self._folder / f"base {len(self._bases)}"
            with machine(base, scenario, number=1) as made:
                if scenario.before:
                    made.converge(made.start())
        self._count += 1
        copy = self._folder / f"machine {self._count}"
        shutil.copytree(base, copy, symlinks=True)
        return copy

    def undisturbed(self, scenario: Scenario) -> End:
        """What comes of the scenario when nobody is killed."""
        if scenario.name not in self._ends:
            with machine(self.copy(scenario), scenario) as one:
                self._ends[scenario.name] = one.converge(one.start())
        return self._ends[scenario.name]
