"""Workers: what is due runs, whatever fails; a stop ends every thread, however it comes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clock import ManualClock
from waagent.core.clock import Bell, SystemClock
from waagent.core.errors import AgentError
from waagent.core.workers import Periodic, Worker, Workers

LONG_S = 60.0


class Diary:
    """What ran, and when."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.entries: list[tuple[str, float]] = []
        self._start = self.clock.monotonic()

    def job(self, name: str, every_s: float, first_after_s: float = 0.0) -> Periodic:
        """A periodic that only notes that it ran."""
        return Periodic(name, every_s, lambda: self.note(name), first_after_s)

    def note(self, name: str) -> None:
        """It ran."""
        self.entries.append((name, self.clock.monotonic() - self._start))


@pytest.fixture
def diary() -> Diary:
    """Nothing has run yet."""
    return Diary()


def idle(name: str) -> Worker:
    """A real thread that waits for the next day."""
    return Worker(name, [Periodic("idle", 86_400.0, lambda: None)], SystemClock())


@pytest.fixture
def names() -> Iterator[Callable[[], list[str]]]:
    """The names of the threads of this test that run."""
    before = set(threading.enumerate())
    yield lambda: sorted(t.name for t in threading.enumerate() if t not in before)
    assert set(threading.enumerate()) <= before


def test_periodics_run_when_they_are_due_and_in_that_order(diary: Diary) -> None:
    """The first of each after its own delay, the next one period after the end of the last."""
    worker = Worker("x", [diary.job("slow", 10.0), diary.job("fast", 4.0, 1.0)], diary.clock)
    for _ in range(6):
        assert worker.turn()
    assert diary.entries == [
        ("slow", 0.0),
        ("fast", 1.0),
        ("fast", 5.0),
        ("fast", 9.0),
        ("slow", 10.0),
        ("fast", 13.0),
    ]


def test_periodic_with_a_bell_runs_when_somebody_rang_and_not_otherwise(diary: Diary) -> None:
    """However often it is rung, once, a period later; the others come round meanwhile."""
    bell = Bell()
    rung = Periodic("rung", 5.0, lambda: diary.note("rung"), bell=bell)
    worker = Worker("x", [rung, diary.job("round", 10.0)], diary.clock)
    for moment in (3, 3.5, 6, 21):
        diary.clock.at(moment, bell.ring)
    while len(diary.entries) < 6:
        assert worker.turn()
    assert diary.entries == [
        ("round", 0.0),
        ("rung", 8.0),
        ("round", 10.0),
        ("round", 20.0),
        ("rung", 26.0),
        ("round", 30.0),
    ]


def test_worker_that_only_has_a_bell_sleeps_until_it_is_told_to_stop(diary: Diary) -> None:
    """And a bell that was rung before it began is heard."""
    bell = Bell()
    bell.ring()
    worker = Worker(
        "x", [Periodic("rung", 5.0, lambda: diary.note("rung"), bell=bell)], diary.clock
    )
    assert worker.turn()
    assert diary.entries == [("rung", 5.0)]
    worker.tell_to_stop()
    assert not worker.turn()


def test_periodic_without_a_pause_does_not_starve_the_others(diary: Diary) -> None:
    """It is due at once, and so are they."""
    worker = Worker("x", [diary.job("busy", 0.0), diary.job("other", 0.0)], diary.clock)
    for _ in range(10):
        worker.turn()
    assert [name for name, _ in diary.entries].count("other") >= 4


@pytest.mark.parametrize("error", [AgentError("cannot"), ValueError("x"), ZeroDivisionError()])
def test_failing_periodic_runs_again_and_does_not_hold_up_the_others(
    diary: Diary, error: Exception
) -> None:
    """Whatever it raises."""

    def fail() -> None:
        diary.note("failing")
        raise error

    worker = Worker("x", [Periodic("fail", 5.0, fail), diary.job("good", 5.0)], diary.clock)
    for _ in range(4):
        assert worker.turn()
    assert [name for name, _ in diary.entries] == ["failing", "good"] * 2


def test_same_failure_is_told_once_an_hour_and_another_one_at_once(
    diary: Diary, caplog: pytest.LogCaptureFixture
) -> None:
    """In the words of spec CLI 4.3; a defect shows where it happened."""
    errors: list[Exception] = [AgentError("cannot see"), AgentError("cannot see"), KeyError("k")]

    def fail() -> None:
        raise errors[0]

    worker = Worker("x", [Periodic("look", 1800.0, fail)], diary.clock)
    with caplog.at_level(logging.WARNING, logger="waagent"):
        for _ in range(4):  # at 0, 1800, 3600 and 5400 s
            worker.turn()
        errors[:] = errors[2:]
        worker.turn()
    note = "--- [NOTE: Will not log the same error for the next hour]"
    assert [record.getMessage() for record in caplog.records] == [
        f"Cannot look: cannot see {note}",
        f"Cannot look: cannot see {note}",
        f"Cannot look: KeyError: 'k' {note}",
    ]
    assert [bool(record.exc_info) for record in caplog.records] == [False, False, True]


def test_worker_that_is_told_to_stop_runs_nothing_more(diary: Diary) -> None:
    """Also when something is long due."""
    worker = Worker("x", [diary.job("job", 1.0)], diary.clock)
    worker.tell_to_stop()
    assert not worker.turn()
    assert diary.entries == []


def test_worker_without_work_waits_for_its_stop(diary: Diary) -> None:
    """All its jobs may be switched off."""
    worker = Worker("x", [], diary.clock)
    assert worker.turn()
    assert diary.clock.waits
    worker.tell_to_stop()
    assert not worker.turn()


def test_thread_runs_under_the_workers_name_until_told_to_stop(
    names: Callable[[], list[str]],
) -> None:
    """The name is in every line of the log."""
    ran = threading.Event()
    seen: list[str] = []

    def job() -> None:
        seen.append(threading.current_thread().name)
        ran.set()

    worker = Worker("MonitorHandler", [Periodic("job", 86_400.0, job)], SystemClock())
    assert not worker.is_alive()
    worker.start()
    assert ran.wait(LONG_S)
    assert seen == names() == ["MonitorHandler"]
    worker.tell_to_stop()
    assert worker.join(LONG_S)
    assert not worker.is_alive()


def test_second_start_makes_no_second_thread(names: Callable[[], list[str]]) -> None:
    """Two would do everything twice, and only one would be stopped."""
    worker = idle("one")
    worker.start()
    worker.start()
    assert names() == ["one"]
    worker.tell_to_stop()
    assert worker.join(LONG_S)


def test_job_may_wait_for_its_own_worker_without_a_deadlock(
    names: Callable[[], list[str]],
) -> None:
    """A thread cannot wait for its own end."""
    answers: list[bool] = []
    done = threading.Event()

    def job() -> None:
        answers.append(worker.join(LONG_S))
        done.set()

    worker = Worker("x", [Periodic("job", 86_400.0, job)], SystemClock())
    worker.start()
    assert done.wait(LONG_S)
    worker.tell_to_stop()
    assert worker.join(LONG_S)
    assert answers == [False]
    assert names() == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_dead_thread_is_revived_and_a_stopped_one_is_not(
    names: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    """Its death is told; an end that was asked for is none."""
    deadly = [True]

    def job() -> None:
        if deadly.pop():
            raise BaseException("the thread dies")
        deadly.append(False)

    mortal = Worker("mortal", [Periodic("job", 0.01, job)], SystemClock())
    deadly.append(True)
    workers = Workers([mortal, idle("other")], SystemClock())
    workers.start()
    assert mortal.join(LONG_S)
    deadly[:] = [False]
    with caplog.at_level(logging.WARNING, logger="waagent"):
        workers.revive()
        workers.revive()
    assert names() == ["mortal", "other"]
    assert [record.getMessage() for record in caplog.records] == ["mortal thread died, restarting"]
    workers.stop(LONG_S)
    workers.revive()
    assert names() == []


def test_stop_asks_all_before_it_waits_for_one(names: Callable[[], list[str]]) -> None:
    """So that the longest wait is that of the slowest, not the sum."""
    stopped: list[str] = []

    class Noting(Worker):
        def tell_to_stop(self) -> None:
            stopped.append(f"tell {self.name}")
            super().tell_to_stop()

        def join(self, within_s: float) -> bool:
            stopped.append(f"join {self.name}")
            return super().join(within_s)

    job = [Periodic("idle", 86_400.0, lambda: None)]
    workers = Workers([Noting(name, job, SystemClock()) for name in "ab"], SystemClock())
    workers.start()
    workers.stop(LONG_S)
    assert stopped == ["tell b", "tell a", "join b", "join a"]
    assert names() == []


def test_thread_that_does_not_end_is_told_of_and_left_behind(
    caplog: pytest.LogCaptureFixture, names: Callable[[], list[str]]
) -> None:
    """The process can leave without it."""
    busy, release = threading.Event(), threading.Event()

    def job() -> None:
        busy.set()
        release.wait(LONG_S)

    worker = Worker("stuck", [Periodic("job", 86_400.0, job)], SystemClock())
    workers = Workers([worker], SystemClock())
    workers.start()
    assert busy.wait(LONG_S)
    with caplog.at_level(logging.WARNING, logger="waagent"):
        workers.stop(0.05)
    assert "stuck did not stop within 0.05 s and is left behind" in caplog.messages
    release.set()
    assert worker.join(LONG_S)
    assert names() == []


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from(["start", "tell", "join", "revive", "stop"]), max_size=5),
        min_size=1,
        max_size=4,
    )
)
def test_any_interleaving_of_stop_and_start_leaves_no_thread(plans: list[list[str]]) -> None:
    """Several threads start, revive and stop the same workers at the same time."""
    clock = SystemClock()
    before = set(threading.enumerate())
    pair = [idle("one"), idle("two")]
    workers = Workers(pair, clock)
    acts: dict[str, Callable[[], object]] = {
        "start": workers.start,
        "tell": pair[0].tell_to_stop,
        "join": lambda: pair[0].join(0.001),
        "revive": workers.revive,
        "stop": lambda: workers.stop(LONG_S),
    }
    ready = threading.Barrier(len(plans))

    def follow(plan: list[str]) -> None:
        ready.wait(LONG_S)
        for act in plan:
            acts[act]()

    threads = [threading.Thread(target=follow, args=(plan,)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    workers.stop(LONG_S)
    workers.start()
    workers.revive()
    assert set(threading.enumerate()) <= before
