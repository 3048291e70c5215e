"""A command behind a gate runs once the gate is opened, and never if its agent ends before."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tests.unit.extensions.processes import KeepingRunner, await_exit
from waagent.core.commands import Child, Spawn
from waagent.extensions.gate import Gate


def start(keeping: KeepingRunner, gate: Gate, line: str, folder: Path) -> Child:
    """Start a line behind a gate."""
    return keeping.start(Spawn(gate.argv(line), cwd=folder, stdin=gate.stdin))


def test_command_runs_as_the_process_that_was_started_when_its_gate_is_opened(
    keeping: KeepingRunner, tmp_path: Path
) -> None:
    """With nothing on its standard input, and with the exit code of its own."""
    with closing(Gate()) as gate:
        child = start(keeping, gate, "echo $$ >pid; cat >input; exit 7", tmp_path)
        gate.open()
        await_exit(child)
    assert child.poll() == 7
    assert (tmp_path / "pid").read_text() == f"{child.pid}\n"
    assert (tmp_path / "input").read_bytes() == b""


def test_command_never_runs_when_its_gate_is_left_closed(
    keeping: KeepingRunner, tmp_path: Path
) -> None:
    """As the kernel does when the agent is killed."""
    with closing(Gate()) as gate:
        child = start(keeping, gate, "touch ran", tmp_path)
    await_exit(child)
    assert not (tmp_path / "ran").exists()


def test_gate_of_a_command_that_was_killed_can_be_opened(
    keeping: KeepingRunner, tmp_path: Path
) -> None:
    with closing(Gate()) as gate:
        child = start(keeping, gate, "touch ran", tmp_path)
        child.kill_group()
        await_exit(child)
        gate.open()
    assert not (tmp_path / "ran").exists()
