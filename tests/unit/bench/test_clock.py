"""The guest's clock, related to this machine's."""

from __future__ import annotations

import pytest

from tests.bench.clock import RESOLUTION_S, Reading, Relation, relate, with_drift


def test_relation_lies_within_the_bounds_of_a_reading() -> None:
    """The guest's moment is somewhere between the question and the answer."""
    relation = relate([Reading(1000.0, 20.0, 1000.4)])
    assert relation.offset == pytest.approx(980.2 - RESOLUTION_S / 2)
    assert relation.uncertainty_s == pytest.approx(0.2 + RESOLUTION_S / 2)
    assert relation.host_time(0.0) == relation.offset


def test_relation_is_narrowed_by_every_reading() -> None:
    """One reading has a late answer, the other an early question."""
    early = Reading(999.6, 20.0, 1000.1)
    late = Reading(1001.0, 21.0, 1001.5)
    relation = relate([early, late])
    assert relation.uncertainty_s == pytest.approx((0.1 + RESOLUTION_S) / 2)
    assert relation.host_time(20.0) == pytest.approx(1000.05, abs=0.01)


def test_relation_is_wider_when_readings_contradict_each_other() -> None:
    """A clock that jumped by a second cannot be known better than that."""
    relation = relate([Reading(1000.0, 20.0, 1000.01), Reading(1002.0, 21.0, 1002.01)])
    assert relation.uncertainty_s > 0.4


def test_relation_needs_a_reading_at_all() -> None:
    """There is nothing to guess from."""
    with pytest.raises(ValueError, match="without a reading"):
        relate([])


def test_drift_is_seen_between_two_relations() -> None:
    """A guest whose clock is one percent slow, seen at 100 s and at 400 s."""
    first, later = Relation(900.0, 0.001, 100.0), Relation(903.0, 0.001, 400.0)
    relation = with_drift(first, later)
    assert relation.drift == pytest.approx(0.01)
    assert relation.host_time(400.0) == pytest.approx(1303.0)
    assert relation.host_time(0.0) == pytest.approx(899.0)


def test_uptime_is_the_reverse_of_host_time() -> None:
    """Also with a drift."""
    relation = Relation(900.0, 0.001, 100.0, 0.01)
    assert relation.uptime(relation.host_time(250.0)) == pytest.approx(250.0)


def test_drift_adds_what_it_may_be_wrong_by() -> None:
    """The boot is before both readings: their doubt grows with the distance."""
    first, later = Relation(900.0, 0.03, 100.0), Relation(900.05, 0.03, 200.0)
    assert with_drift(first, later).uncertainty_s == pytest.approx(0.03 + 0.05)


def test_later_relation_at_the_same_moment_says_nothing_about_drift() -> None:
    """Dividing by nothing would."""
    first = Relation(900.0, 0.03, 100.0)
    assert with_drift(first, first) == first
