"""The daemon is killed while an extension's command runs: nothing runs twice, nobody is silent."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Callable, Optional

import pytest

from tests.fabric import ECHO, Fabric, Settings, echo_extension
from tests.support.agent import RootedAgent
from tests.support.child_process import leave_endpoint
from tests.unit.extensions.processes import is_alive
from waagent.core.clock import SystemClock
from waagent.core.records import replace

PROJECT = Path(__file__).resolve().parents[2]
DAEMON = 'echo $$ >"$1"; shift; "$@" & wait'  # what matters of it here: it starts the child


class Machine:
    """A machine in a folder whose daemon can be killed."""

    def __init__(self, root: Path, fabric: Fabric) -> None:
        self.agent = RootedAgent(root, fabric)
        leave_endpoint(self.agent)
        self.daemons: list[subprocess.Popen[bytes]] = []
        self._children: set[int] = set()
        self._commands: set[int] = set()

    def start(self) -> None:
        """Start a daemon with its child."""
        child = [sys.executable, "-m", "tests.integration.orphan", str(self.agent.root)]
        child.append(json.dumps(self.agent.fabric.address_book))
        argv = ["sh", "-c", DAEMON, "daemon", str(self.agent.paths.pid_file), *child]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        self.daemons.append(subprocess.Popen(argv, cwd=PROJECT, env=environment))

    def child(self) -> int:
        """The child that wrote its number last."""
        folder = self.agent.paths.pid_file.parent
        pid = awaited(lambda: max((int(p.read_text()) for p in folder.glob("?_*.pid")), default=0))
        self._children.add(pid)
        return pid

    def command(self, other_than: int = 0) -> int:
        """The command that is on record as running."""
        path = self.agent.handler(ECHO) / "config" / "HandlerCommand"

        def look() -> Optional[int]:
            with contextlib.suppress(FileNotFoundError):
                record = json.loads(path.read_text())
                if record["operation"] == "enable" and record["pid"] != other_than:
                    return int(record["pid"])
            return None

        pid = awaited(look)
        self._commands.add(pid)
        return pid

    def end(self) -> None:
        """End whatever runs."""
        for daemon in self.daemons:
            daemon.kill()
            daemon.wait()
        for pid in self._children:
            awaited(lambda pid=pid: not is_alive(pid))  # type: ignore[misc]
        for pid in self._commands:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


def awaited(look: Callable[[], Optional[int]]) -> int:
    """What is there at last."""
    for _ in range(2400):
        found = look()
        if found:
            return found
        SystemClock().wait(None, 0.05)
    raise AssertionError("it never came to that")


@pytest.fixture
def machine(plain_fabric: Fabric, tmp_path: Path) -> Iterator[Machine]:
    """A machine whose one extension takes ten minutes to be enabled."""
    settings = Settings(0, {"echo": "slow", "pause": 600})
    extension = replace(echo_extension(secret=None), settings=(settings,))
    plain_fabric.portal.put_extension(extension)
    made = Machine(tmp_path, plain_fabric)
    yield made
    made.end()


def test_command_outlives_its_agent_and_the_next_one_reports_while_it_waits(
    machine: Machine,
) -> None:
    machine.start()
    child, command = machine.child(), machine.command()
    machine.daemons[0].kill()
    awaited(lambda: not is_alive(child))
    assert is_alive(command)

    reported = len(machine.agent.statuses)
    machine.start()
    machine.agent.fabric.await_status(since=reported, within_s=120)
    assert is_alive(command), "nobody has waited for its end"
    item = machine.agent.item(ECHO)
    assert (item["status"], item["code"]) == ("NotReady", 0)
    assert machine.command() == command, "it was not run beside itself"

    os.killpg(command, signal.SIGKILL)
    assert machine.command(other_than=command) != command
    machine.child()
