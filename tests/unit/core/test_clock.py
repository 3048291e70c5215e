"""Waiting: a stop from anywhere ends it at once, a descriptor too; nothing else does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waagent.core.clock import MAX_WAIT_S, Bell, Stop, SystemClock, timestamp, timestamp_s
from waagent.core.signals import stop_on

LONG_S = 60.0


@pytest.fixture
def stop() -> Iterator[Stop]:
    """A flag that nobody has set."""
    flag = Stop()
    yield flag
    flag.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Something that may speak."""
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        os.close(descriptor)


def in_thread(do: object) -> threading.Thread:
    """Start something beside the test."""
    assert callable(do)
    thread = threading.Thread(target=do)
    thread.start()
    return thread


def test_wait_ends_when_its_time_is_over(stop: Stop) -> None:
    """Neither early nor much later."""
    clock = SystemClock()
    started = clock.monotonic()
    assert clock.wait(stop, 0.05) is False
    assert 0.05 <= clock.monotonic() - started < 5.0


@pytest.mark.parametrize("seconds", [0.0, -1.0, -1e9])
def test_wait_for_no_time_only_looks(stop: Stop, seconds: float) -> None:
    """A deadline that is past is no error."""
    clock = SystemClock()
    assert clock.wait(stop, seconds) is False
    stop.set()
    assert clock.wait(stop, seconds) is True


def test_wait_that_is_longer_than_a_day_can_be_asked_for(stop: Stop) -> None:
    """It is cut, and no overflow."""
    stop.set()
    for seconds in (MAX_WAIT_S * 1000, float("inf")):
        assert SystemClock().wait(stop, seconds) is True
        assert SystemClock().wait(None, seconds, stop.fileno()) is False


def test_wait_ends_at_once_when_another_thread_says_stop(stop: Stop) -> None:
    """And when it was said before."""
    clock = SystemClock()
    started = clock.monotonic()
    thread = in_thread(stop.set)
    assert clock.wait(stop, LONG_S) is True
    assert clock.wait(stop, LONG_S) is True
    assert clock.monotonic() - started < LONG_S / 2
    thread.join()


def test_every_waiting_thread_hears_of_a_stop(stop: Stop) -> None:
    """One flag, many workers: none takes the word from another."""
    heard: list[bool] = []
    threads = [in_thread(lambda: heard.append(SystemClock().wait(stop, LONG_S))) for _ in range(8)]
    stop.set()
    for thread in threads:
        thread.join(LONG_S)
    assert heard == [True] * 8


def test_stop_wakes_only_its_own_waiters() -> None:
    """Workers have a stop each."""
    one, other = Stop(), Stop()
    one.set()
    clock = SystemClock()
    assert clock.wait(one, LONG_S) is True
    assert clock.wait(other, 0.0) is False
    one.close()
    other.close()


def test_descriptor_that_speaks_ends_the_wait_without_a_stop(
    stop: Stop, pipe: tuple[int, int]
) -> None:
    """Whoever waits reads from it, or is woken again."""
    reader, writer = pipe
    clock = SystemClock()
    assert clock.wait(stop, 0.0, reader) is False
    started = clock.monotonic()
    thread = in_thread(lambda: os.write(writer, b"x"))
    assert clock.wait(stop, LONG_S, reader) is False
    assert clock.monotonic() - started < LONG_S / 2
    thread.join()


def test_wait_on_a_closed_descriptor_is_an_error_and_no_busy_loop(stop: Stop) -> None:
    """It would return at once for ever."""
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    with pytest.raises(OSError, match="is closed"):
        SystemClock().wait(stop, LONG_S, reader)


def test_stop_may_be_set_as_often_as_one_likes(stop: Stop) -> None:
    """More often than a pipe has room."""
    for _ in range(100_000):
        stop.set()
    assert stop.is_set()


def test_stop_set_by_many_threads_at_once_is_set(stop: Stop) -> None:
    """No order among them is needed."""
    threads = [in_thread(stop.set) for _ in range(16)]
    for thread in threads:
        thread.join()
    assert SystemClock().wait(stop, LONG_S) is True


def test_closed_stop_keeps_its_value_and_writes_to_nobodys_file(tmp_path: Path) -> None:
    """Its descriptors may be somebody else's by then, as in a late signal handler."""
    flag = Stop()
    flag.close()
    flag.close()
    with (tmp_path / "file").open("wb") as first, (tmp_path / "other").open("wb") as second:
        flag.set()
        assert (first.tell(), second.tell()) == (0, 0)
    assert flag.is_set()
    assert SystemClock().wait(flag, LONG_S) is True
    assert (tmp_path / "file").read_bytes() == (tmp_path / "other").read_bytes() == b""


def test_closed_stop_that_nobody_set_can_be_waited_for() -> None:
    """A worker left behind must not fall over."""
    flag = Stop()
    flag.close()
    assert SystemClock().wait(flag, 0.0) is False


def test_stop_set_in_a_signal_handler_ends_the_wait(stop: Stop) -> None:
    """The handler runs in the waiting thread itself."""
    before = signal.getsignal(signal.SIGUSR1)
    stop_on(stop, [signal.SIGUSR1])
    main = threading.get_ident()
    try:
        thread = in_thread(lambda: signal.pthread_kill(main, signal.SIGUSR1))
        assert SystemClock().wait(stop, LONG_S) is True
        thread.join()
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGUSR1, before)


def test_signal_without_a_stop_does_not_end_the_wait(stop: Stop) -> None:
    """The rest of the time is still waited for."""
    before = signal.signal(signal.SIGUSR1, lambda _number, _frame: None)
    main = threading.get_ident()
    clock = SystemClock()
    started = clock.monotonic()
    try:
        thread = in_thread(lambda: signal.pthread_kill(main, signal.SIGUSR1))
        assert clock.wait(stop, 0.3) is False
        assert clock.monotonic() - started >= 0.3
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_handler_that_interrupts_the_setting_of_its_stop_does_not_wait_for_it() -> None:
    """It comes before the first line, the second, and so on; a lock would never be free."""
    script = """
import sys
from waagent.core.clock import Stop, SystemClock
def handle(frame, event, argument):
    global lines
    lines += 1
    if lines == when:
        stop.set()
    return handle
for when in range(40):
    lines = 0
    stop = Stop()
    sys.settrace(handle)
    stop.set()
    sys.settrace(None)
    assert SystemClock().wait(stop, 60)
print(lines > 3)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


def test_stop_of_a_forked_copy_is_its_own() -> None:
    """Set in the copy, it neither stops nor wakes the parent, and the copy's own waits hear it."""
    script = """
import os, select
from waagent.core.clock import Stop, SystemClock
stop = Stop()
pid = os.fork()
if not pid:
    stop.set()
    os._exit(0 if SystemClock().wait(stop, 60) and select.select([stop], [], [], 60)[0] else 1)
_, status = os.waitpid(pid, 0)
print(os.WEXITSTATUS(status), stop.is_set(), select.select([stop], [], [], 0)[0])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "0 False []\n", done.stderr


def test_wall_time_is_aware_and_monotonic_time_does_not_go_back() -> None:
    """UTC, whatever the zone of the machine."""
    clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    assert abs(clock.now().timestamp() - time.time()) < 5.0
    assert clock.monotonic() <= clock.monotonic()


@given(
    st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
)
def test_timestamps_are_utc_and_always_as_long(moment: datetime, offset_min: int) -> None:
    """Six digits or none, whatever the zone they come in."""
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset_min)))
    text = timestamp(aware)
    assert len(text) == len("2025-01-31T10:11:12.000000Z")
    parsed = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    assert parsed == aware
    assert timestamp_s(aware) == text[:19] + "Z"


def test_bell_ends_a_wait_until_it_is_answered() -> None:
    bell, clock = Bell(), SystemClock()
    assert not bell.answer()
    threading.Timer(0.05, bell.ring).start()
    began = time.monotonic()
    assert not clock.wait(None, LONG_S, bell.fileno())
    assert time.monotonic() - began < LONG_S / 2
    assert bell.answer()
    assert not bell.answer()


def test_bell_may_be_rung_as_often_as_one_likes_and_leaves_no_descriptor() -> None:
    bell = Bell()
    for _ in range(100_000):
        bell.ring()
    while bell.answer():
        pass
    descriptor = bell.fileno()
    del bell
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_stop_that_nobody_holds_gives_its_descriptors_back() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        Stop()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
