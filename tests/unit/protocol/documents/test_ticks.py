"""The fabric's ticks, by the table of the spec (WIRE 3.7.6)."""

from __future__ import annotations

from typing import Union

import pytest

from waagent.protocol.documents.ticks import MIN_TIMESTAMP, parse_ticks

TABLE = [
    ("0", "0001-01-01T00:00:00.000000Z"),
    ("637405409304121230", "2020-11-09T17:48:50.412125Z"),
    ("637415129555522297", "2020-11-20T23:49:15.552231Z"),
    ("637693267431616449", "2021-10-08T21:52:23.161652Z"),
    ("637726657000000000", "2021-11-16T13:21:40.000000Z"),
    ("637726657706205217", "2021-11-16T13:22:50.620522Z"),
    ("637726657706205299", "2021-11-16T13:22:50.620529Z"),
    ("637726657706209999", "2021-11-16T13:22:50.621002Z"),
    ("637726699999999999", "2021-11-16T14:33:20.000000Z"),
    ("637829610574739741", "2022-03-15T17:10:57.473969Z"),
]


@pytest.mark.parametrize(("ticks", "created_on"), TABLE)
def test_ticks_give_the_timestamp_of_the_reference(ticks: str, created_on: str) -> None:
    """As text and as a number: the two sources are compared with each other."""
    assert parse_ticks(ticks) == created_on
    assert parse_ticks(int(ticks)) == created_on


@pytest.mark.parametrize(
    "ticks", [None, "", "soon", "6.3e17", "nan", "-1", "9" * 18, -1, 10**19, 10**400, "9" * 5000]
)
def test_ticks_that_are_no_time_give_the_smallest_timestamp_or_a_late_one(
    ticks: Union[str, int, None],
) -> None:
    """Never an error: the document is good without it."""
    assert parse_ticks(ticks) == (
        MIN_TIMESTAMP if ticks != "9" * 18 else "3169-11-16T09:46:40.000000Z"
    )


def test_ticks_of_the_first_years_keep_their_zeros() -> None:
    """They are compared as text."""
    assert parse_ticks(10**7 * 86400 * 400) == "0002-02-05T00:00:00.000000Z"
