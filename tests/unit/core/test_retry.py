"""Retries: how often and with what pauses, as the policy says and the wire protocol expects."""

from __future__ import annotations

import itertools
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import ManualClock
from waagent.core import retry
from waagent.core.clock import Stop
from waagent.core.errors import AgentError
from waagent.core.retry import JITTER, LONGEST_S, Policy, Verdict

FIBONACCI = (2, 3, 5, 8, 13, 21, 34, 55)


class Peer:
    """Fails with the given verdicts, one after the other, then succeeds."""

    def __init__(self, *verdicts: Verdict) -> None:
        self._verdicts = list(verdicts)
        self.clock = ManualClock()
        self.asked = 0

    def once(self) -> str:
        """One attempt."""
        self.asked += 1
        if self._verdicts:
            raise AgentError("cannot", verdict=self._verdicts.pop(0), number=self.asked)
        return "answer"

    def ask(self, policy: Policy = retry.DEFAULT, stop: Optional[Stop] = None) -> str:
        """All attempts."""
        return retry.call(self.once, judge, policy=policy, clock=self.clock, stop=stop)


def judge(error: AgentError) -> Verdict:
    """As the test says."""
    verdict = error.facts["verdict"]
    assert isinstance(verdict, Verdict)
    return verdict


def test_first_success_is_the_result_and_nothing_is_waited_for() -> None:
    """As nearly always."""
    peer = Peer()
    assert peer.ask() == "answer"
    assert (peer.asked, peer.clock.waits) == (1, [])


def test_default_policy_makes_six_attempts_within_31_seconds() -> None:
    """The figures of spec WIRE 2.8; the last error is the one that is raised."""
    peer = Peer(*[Verdict.AGAIN] * 9)
    with pytest.raises(AgentError) as caught:
        peer.ask()
    assert peer.clock.waits == [2, 3, 5, 8, 13]
    assert caught.value.facts["number"] == caught.value.facts["attempts"] == 6


@given(attempts=st.integers(1, 12), failures=st.integers(0, 14), delay=st.floats(0.1, 30))
def test_waits_follow_the_policy_for_any_number_of_failures(
    attempts: int, failures: int, delay: float
) -> None:
    """Never more attempts than allowed, never a wait after the last one."""
    peer = Peer(*[Verdict.AGAIN] * failures)
    policy = Policy(attempts=attempts, delay_s=delay)
    if failures < attempts:
        assert peer.ask(policy) == "answer"
    else:
        with pytest.raises(AgentError):
            peer.ask(policy)
    made = min(attempts, failures + 1)
    assert peer.asked == made
    expected = [delay * step for step, _ in zip(_fibonacci(), range(made - 1))]
    for waited, asked in zip(peer.clock.waits, expected):
        if asked <= LONGEST_S:
            assert waited == pytest.approx(asked)
        else:
            assert JITTER * LONGEST_S <= waited <= LONGEST_S
    assert len(peer.clock.waits) == len(expected)


def _fibonacci() -> itertools.chain[int]:
    """2, 3, 5, 8, ... for as many as a test needs."""
    numbers = list(FIBONACCI)
    while len(numbers) < 40:
        numbers.append(numbers[-1] + numbers[-2])
    return itertools.chain(numbers)


def test_no_wait_grows_beyond_the_longest() -> None:
    """The 30 attempts of a health report would otherwise take years."""
    peer = Peer(*[Verdict.AGAIN] * 40)
    with pytest.raises(AgentError):
        peer.ask(Policy(attempts=30, delay_s=15.0))
    assert peer.clock.waits[:6] == [30, 45, 75, 120, 195, 315]
    longest = peer.clock.waits[8:]
    assert len(set(longest)) > 1, "machines that lost the fabric together do not come back in step"
    assert all(JITTER * LONGEST_S <= waited <= LONGEST_S for waited in longest)
    assert len(peer.clock.waits) == 29


def test_final_error_is_raised_at_once() -> None:
    """As it is, without a count of attempts."""
    peer = Peer(Verdict.AGAIN, Verdict.FINAL, Verdict.AGAIN)
    with pytest.raises(AgentError) as caught:
        peer.ask()
    assert caught.value.facts["number"] == 2
    assert "attempts" not in caught.value.facts
    assert peer.clock.waits == [2]


def test_throttled_call_is_given_more_attempts_with_short_waits_to_its_end() -> None:
    """Also a call that was to be made only once (spec WIRE 2.8)."""
    peer = Peer(Verdict.AGAIN, Verdict.THROTTLED, *[Verdict.AGAIN] * 30)
    with pytest.raises(AgentError) as caught:
        peer.ask()
    assert caught.value.facts["attempts"] == 25
    assert peer.clock.waits == [2] + [1] * 23
    single = Peer(*[Verdict.THROTTLED] * 3)
    assert single.ask(retry.ONCE) == "answer"
    assert single.clock.waits == [1, 1, 1]


def test_throttled_call_keeps_its_attempts_where_the_policy_says_so() -> None:
    """Telemetry: three attempts, eight seconds apart."""
    peer = Peer(*[Verdict.THROTTLED] * 9)
    policy = Policy(attempts=3, throttled_delay_s=8.0, throttled_attempts=None)
    with pytest.raises(AgentError):
        peer.ask(policy)
    assert (peer.asked, peer.clock.waits) == (3, [8, 8])


def test_stop_ends_the_waiting_with_the_error_that_was_waited_for() -> None:
    """No further attempt is made."""
    stop = Stop()
    peer = Peer(*[Verdict.AGAIN] * 9)
    peer.clock.at(4.0, stop.set)
    with pytest.raises(AgentError) as caught:
        peer.ask(stop=stop)
    assert (peer.asked, caught.value.facts["attempts"]) == (2, 2)
    stop.close()


def test_error_that_is_not_ours_passes_without_being_judged() -> None:
    """A defect is not retried."""

    def defective() -> str:
        raise ZeroDivisionError

    clock = ManualClock()
    with pytest.raises(ZeroDivisionError):
        retry.call(defective, judge, policy=retry.DEFAULT, clock=clock)
    assert clock.waits == []
