"""The child as a process of its own: how a test starts it, and how it is ended in order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Optional, Union

from tests.support.agent import ENDPOINT, RootedAgent

PROJECT = Path(__file__).resolve().parents[2]
Output = Optional[Union[int, IO[bytes]]]


def leave_endpoint(machine: RootedAgent) -> None:
    """What a daemon leaves for its child: where the wire server is."""
    machine.paths.protocol.write_text("WireProtocol")
    machine.paths.endpoint.write_text(ENDPOINT)


def start_child(
    root: Path,
    addresses: Mapping[str, tuple[str, int]],
    *arguments: str,
    module: str = "tests.integration.child",
    output: Output = None,
    errors: Output = subprocess.STDOUT,
    environment: Optional[Mapping[str, str]] = None,
) -> subprocess.Popen[bytes]:
    """Start a module whose main runs the child of the machine in a folder."""
    return subprocess.Popen(
        [sys.executable, "-m", module, str(root), json.dumps(dict(addresses)), *arguments],
        cwd=PROJECT,
        stdout=output,
        stderr=errors,
        env={**os.environ, "PYTHONPATH": str(PROJECT), **(environment or {})},
    )


def end_child(process: subprocess.Popen[bytes], within_s: float = 30.0) -> int:
    """Tell it to stop; its exit code. One that does not end in time is killed, and an error."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(within_s)
    finally:
        process.kill()
        process.wait()
