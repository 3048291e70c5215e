"""Commands that hang, that leave services behind, that talk without end: as real processes."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Callable, Optional

import pytest

from tests.unit.extensions.processes import KeepingRunner, ends, is_alive
from tests.unit.extensions.world import NAME, ProcessClock, World, one
from waagent.core.clock import Stop, SystemClock
from waagent.core.system import System
from waagent.extensions.codes import ExtensionCode, ExtensionError
from waagent.extensions.commandlog import Voice
from waagent.extensions.launch import Call
from waagent.extensions.state import Operation

QUICK_S = 0.3
HOLD = "exec sleep 60"


class LateClock(ProcessClock):
    """Time stands still until the command has done what it is to do before its time is over."""

    def __init__(self) -> None:
        super().__init__()
        self.is_ready: Callable[[], bool] = lambda: True

    def wait(self, stop: Optional[Stop], seconds: float, *descriptors: int) -> bool:
        """See ``Clock.wait``."""
        if not descriptors:
            return super().wait(stop, seconds)
        for _ in range(2000):
            if self.is_ready():
                return super().wait(stop, seconds, *descriptors)
            SystemClock().wait(None, 0.01)
        raise AssertionError("the command never came that far")


@pytest.fixture
def clock() -> LateClock:
    """The clock of that guest."""
    return LateClock()


@pytest.fixture
def world(tmp_path: Path, keeping: KeepingRunner, clock: LateClock) -> World:
    """A guest whose processes are this machine's."""
    made = World(tmp_path)
    environment = made.context.system.environment
    system = System(Path("/"), keeping, clock, environment)
    made.context = replace(made.context, system=system)
    made.home("1.0").config.mkdir(parents=True)
    return made


@pytest.fixture(autouse=True)
def _nothing_is_left(world: World) -> Iterator[None]:
    """What a test's command left running is ended, by the number that it wrote down."""
    yield
    for path in world.home("1.0").folder.glob("*.pid"):
        with contextlib.suppress(ProcessLookupError, ValueError):
            os.kill(int(path.read_text()), signal.SIGKILL)


def run(world: World, script: str, limit_s: float = 30) -> None:
    """An enable whose command is this script."""
    home = world.home("1.0")
    (home.folder / "run.sh").write_text(f"#!/bin/bash\n{script}\n")
    (home.folder / "run.sh").chmod(0o744)
    call = Call(home, Operation.ENABLE, "run.sh", one(version="1.0"))
    world.launcher(limit_s).run(call, Voice(world.context.events, home.full_name, NAME, "1.0"))


def hang(world: World, clock: LateClock, script: str) -> None:
    """The script hangs until its time is over, and has written its number down by then."""
    written = world.home("1.0").folder / "it.pid"
    clock.is_ready = lambda: written.exists() and written.stat().st_size > 0
    with pytest.raises(ExtensionError) as caught:
        run(world, f"{script}\n{HOLD}", QUICK_S)
    assert caught.value.code == ExtensionCode.COMMAND_TIMED_OUT


def pid_of(world: World, name: str) -> int:
    """A process that the command wrote down."""
    return int((world.home("1.0").folder / f"{name}.pid").read_text())


@pytest.mark.parametrize(
    "script",
    [
        "sleep 60 & echo $! >it.pid",
        "(sleep 60 & echo $! >it.pid; wait) & wait -n",
        "set -m; sleep 60 & echo $! >it.pid",
        "timeout 60 sh -c 'echo $$ >it.pid; exec sleep 60'",
        "nohup sleep 60 >/dev/null 2>&1 & echo $! >it.pid; disown",
        "trap '' TERM; (trap '' TERM INT HUP; echo $BASHPID >it.pid; exec sleep 60)",
    ],
)
def test_late_command_goes_with_all_that_is_in_its_session(
    world: World, clock: LateClock, script: str
) -> None:
    """In whatever group: timeout(1) and job control make some."""
    hang(world, clock, script)
    assert ends(pid_of(world, "it"))


def test_chain_of_processes_that_breed_is_ended(world: World, clock: LateClock) -> None:
    """Each one starts the next in a group of its own."""
    breed = "echo $BASHPID >>bred; [ $1 -gt 40 ] || { breed $(($1+1)) & wait; }"
    hang(world, clock, f"set -m\necho $$ >it.pid\nbreed() {{ {breed}; }}\nbreed 0 &")
    bred = world.home("1.0").folder / "bred"
    pids = bred.read_text().split() if bred.exists() else []
    assert all(ends(int(pid)) for pid in pids)


SERVICES = {
    "setsid": "setsid sh -c 'echo $$ >it.pid; exec sleep 60' >/dev/null 2>&1 &",
    "a double fork": (
        'python3 -c "import os,time\n'
        "if os.fork(): os._exit(0)\n"
        "os.setsid()\n"
        "if os.fork(): os._exit(0)\n"
        "open('it.tmp','w').write(str(os.getpid())); os.rename('it.tmp','it.pid'); time.sleep(60)\""
    ),
}


@pytest.mark.parametrize("kind", SERVICES)
def test_service_survives_the_command_that_started_it(world: World, kind: str) -> None:
    """Extensions leave such behind, which is what they are for."""
    run(world, f"{SERVICES[kind]}\nuntil [ -s it.pid ]; do :; done")
    assert is_alive(pid_of(world, "it"))


@pytest.mark.parametrize("kind", SERVICES)
def test_service_survives_also_when_its_command_is_late(
    world: World, clock: LateClock, kind: str
) -> None:
    """It has left the session on purpose (spec EXT 3.8)."""
    hang(world, clock, f"{SERVICES[kind]}\nuntil [ -s it.pid ]; do :; done")
    assert is_alive(pid_of(world, "it"))


def test_process_without_a_session_of_its_own_survives_a_command_that_ends(world: World) -> None:
    """As `nohup service &` in many scripts; it is not waited for either."""
    run(world, "nohup sleep 60 & echo $! >it.pid")
    assert is_alive(pid_of(world, "it"))


def test_command_has_nothing_to_read_and_no_file_of_ours(world: World) -> None:
    """Its input is empty; what we have open it has not."""
    home = world.home("1.0")
    with (home.folder / "ours").open("w"):
        run(world, 'ls -l /proc/self/fd >fds; read -r line || echo "end" >read')
    assert (home.folder / "read").read_text() == "end\n"
    assert "ours" not in (home.folder / "fds").read_text()
    assert (home.folder / "fds").read_text().count("(deleted)") == 1, "stderr; stdout is the list"


def test_command_dies_of_a_broken_pipe_as_everywhere(world: World) -> None:
    """Python ignores that signal, and must not hand that down."""
    run(world, "grep SigIgn /proc/self/status >signals")
    ignored = int((world.home("1.0").folder / "signals").read_text().split()[1], 16)
    assert not ignored & (1 << (signal.SIGPIPE - 1))
