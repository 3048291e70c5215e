"""The child stays for years too: what it has in memory after it has opened certificates."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from tests.fabric import ECHO, Fabric
from tests.support.agent import RootedAgent
from tests.support.child_process import leave_endpoint, start_child

PROJECT = Path(__file__).resolve().parents[2]
NOT_FOR_LONG = {"cryptography", "asn1crypto", "psutil", "pyudev", "ctypes"}
MOST_OWN_KB = 24 * 1024


def private_kb(pid: int) -> int:
    """The memory that a process shares with nobody."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def test_child_opens_certificates_and_keeps_nothing_that_they_need(
    fabric: Fabric, tmp_path: Path
) -> None:
    machine = RootedAgent(tmp_path, fabric)
    leave_endpoint(machine)
    process = start_child(tmp_path, fabric.address_book, output=subprocess.PIPE, errors=None)
    try:
        fabric.await_extension(ECHO, seq_no=0, within_s=30)
        used = private_kb(process.pid)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, output.decode()
    loaded = (tmp_path / "modules").read_text().splitlines()
    print(f"\nthe child: {used} kB of its own; {len(loaded)} modules")
    assert {name.split(".")[0] for name in loaded} & NOT_FOR_LONG == set()
    assert len(list(machine.paths.lib.glob("*.prv"))) == 1, "it opened certificates"
    assert children == "", "and nobody stands by any more"
    assert used < MOST_OWN_KB
