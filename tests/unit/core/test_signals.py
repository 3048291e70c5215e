"""Signals: a termination sets the flag and does nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

SCRIPT = """
import signal, sys
from waagent.core.clock import Stop, SystemClock
from waagent.core.signals import stop_on
stop = Stop()
stop_on(stop)
print("ready", flush=True)
print(SystemClock().wait(stop, 60), stop.is_set())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_termination_ends_a_wait_and_lets_the_process_leave_by_itself(
    number: signal.Signals,
) -> None:
    """With its own exit code, and without a KeyboardInterrupt anywhere."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        rest, complaint = process.communicate(timeout=60)
    assert (rest, complaint, process.returncode) == ("True True\n", "", 0)
