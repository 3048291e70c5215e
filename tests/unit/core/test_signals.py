"""Signals: a termination sets the flag and does nothing else."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

import pytest

from waagent.core.clock import Stop
from waagent.core.signals import TERMINATION, stop_on

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


def test_signal_is_heard_also_when_python_has_no_time_for_its_handler() -> None:
    """One that comes just before the wait begins: the kernel's own handler writes to the pipe."""
    stop = Stop()
    before = {number: signal.getsignal(number) for number in TERMINATION}
    stop_on(stop)
    descriptor = signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)
    os.write(descriptor, bytes([signal.SIGTERM]))
    assert select.select([stop.fileno()], [], [], 0)[0] == [stop.fileno()]
    stop.close()
