"""Watching and ending real processes (spec DAEMON 1.5, 1.7)."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest

from waagent.core.clock import Stop, SystemClock
from waagent.core.commands import Child, ProcessRunner, Spawn
from waagent.daemon import child
from waagent.daemon.child import End

STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
LATE = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))"


FACTOR = 10.0


class RacingClock(SystemClock):
    """A real clock that goes ten times as fast: limits hold, and the test is short."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return super().monotonic() * FACTOR

    def wait(self, stop: Optional[Stop], seconds: float, *descriptors: int) -> bool:
        """See ``Clock.wait``."""
        return super().wait(stop, seconds / FACTOR, *descriptors)


CLOCK = RacingClock()


@pytest.fixture
def stop() -> Iterator[Stop]:
    made = Stop()
    yield made
    made.close()


class WithoutPidfd:
    """A child on a kernel that has no pidfds."""

    def __init__(self, real: Child) -> None:
        self._real = real

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._real.pid

    def poll(self) -> Optional[int]:
        """The exit code, or ``None`` while it runs."""
        return self._real.poll()

    def send(self, number: int) -> None:
        """Send a signal."""
        self._real.send(number)

    def kill_group(self) -> None:
        """Kill its group."""
        self._real.kill_group()

    def descriptor(self) -> Optional[int]:
        """None: the kernel is old."""
        return None


class Undying(WithoutPidfd):
    """A child that hangs in the kernel: no signal ends it."""

    def send(self, number: int) -> None:
        """Nothing comes of it."""


def start(code: str, *, old_kernel: bool = False) -> Child:
    runner = ProcessRunner(os.environ)
    started = runner.start(Spawn((sys.executable, "-c", f"import os, signal, sys\n{code}")))
    return WithoutPidfd(started) if old_kernel else started


def start_ready(setup: str, *, old_kernel: bool = False) -> Child:
    """A child that is known to have done its set-up, and lives."""
    reader, writer = os.pipe()
    code = f"import os, signal, sys\n{setup}\nos.write(1, b'ready')\nwhile True: signal.pause()"
    with os.fdopen(writer, "wb") as stream:
        started = ProcessRunner(os.environ).start(
            Spawn((sys.executable, "-c", code), stdout=stream)
        )
    assert select.select([reader], [], [], 20.0)[0]
    os.close(reader)
    return WithoutPidfd(started) if old_kernel else started


def watch(process: Child, stop: Stop, every_s: float = 60.0) -> tuple[End, int]:
    beats = []
    end = child.watch(process, CLOCK, stop, every_s=every_s, beat=lambda: beats.append(1))
    return end, len(beats)


@pytest.mark.parametrize("old_kernel", [False, True])
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("sys.exit(0)", 0),
        ("sys.exit(3)", 3),
        ("os.kill(os.getpid(), signal.SIGKILL)", -9),
        ("os.kill(os.getpid(), signal.SIGTERM)", -15),
    ],
)
def test_end_of_a_child_is_seen_with_its_code(
    stop: Stop, code: str, expected: int, old_kernel: bool
) -> None:
    end, _ = watch(start(code, old_kernel=old_kernel), stop)
    assert end.code == expected
    assert 0 <= end.lived_s < 100


def test_end_is_seen_at_once_where_the_kernel_tells(stop: Stop) -> None:
    process = start_ready("")
    killer = threading.Timer(0.2, process.send, [signal.SIGKILL])
    killer.start()
    started = time.monotonic()
    end, _ = watch(process, stop)
    killer.join()
    assert end.code == -9
    assert time.monotonic() - started < 2.0, "it was seen at the next beat only"


def test_beat_is_called_all_the_while(stop: Stop) -> None:
    process = start_ready("")
    killer = threading.Timer(0.5, process.send, [signal.SIGKILL])
    killer.start()
    _, beats = watch(process, stop, every_s=0.5)
    killer.join()
    assert beats >= 5


@pytest.mark.parametrize("old_kernel", [False, True])
@pytest.mark.parametrize(
    ("setup", "least_s", "most_s"),
    [("", 0.0, 3.0), (LATE, 0.0, 3.0), (STUBBORN, 3.0, 6.0)],
    ids=["plain", "cleaning up", "stubborn"],
)
def test_child_is_ended_within_three_seconds_when_we_are_told_to_stop(
    stop: Stop, setup: str, least_s: float, most_s: float, old_kernel: bool
) -> None:
    process = start_ready(setup, old_kernel=old_kernel)
    stop.set()
    end, _ = watch(process, stop)
    assert end.code is None, "it did not end by itself"
    assert least_s <= end.lived_s < most_s
    assert process.poll() == {"": -15, LATE: 7, STUBBORN: -9}[setup]
    assert not Path(f"/proc/{process.pid}").exists()


def test_child_that_ended_before_we_are_told_to_stop_is_no_stop(stop: Stop) -> None:
    process = start("sys.exit(4)")
    while process.poll() is None:
        CLOCK.wait(None, 0.05)
    stop.set()
    assert watch(process, stop)[0].code == 4


def test_child_that_hangs_in_the_kernel_is_left_behind(stop: Stop) -> None:
    real = start_ready("")
    stop.set()
    end, _ = watch(Undying(real), stop)
    limit_s = child.STOP_WITHIN_S + child.DIE_WITHIN_S
    assert limit_s <= end.lived_s < limit_s + 3.0
    real.send(signal.SIGKILL)
    while real.poll() is None:
        CLOCK.wait(None, 0.05)
