"""Versions: any length, one total order, and nothing but digits and dots."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waagent.core.version import AGENT_VERSION, MAX_LENGTH, Version

PARTS = st.lists(st.integers(0, 300), min_size=1, max_size=6)
VERSIONS = PARTS.map(lambda parts: Version(".".join(map(str, parts))))


def padded(version: Version) -> tuple[int, ...]:
    """The parts as one would compare them on paper."""
    return version.parts + (0,) * (6 - len(version.parts))


@given(VERSIONS, VERSIONS)
def test_version_order_is_that_of_the_parts_with_zeros_for_missing_ones(
    one: Version, other: Version
) -> None:
    """Exactly one of less, equal and greater holds; equal ones have one hash."""
    assert (one < other) == (padded(one) < padded(other))
    assert (one == other) == (padded(one) == padded(other))
    assert [one < other, one == other, one > other].count(True) == 1
    assert (one <= other) == (not one > other)
    if one == other:
        assert hash(one) == hash(other)


@given(VERSIONS, VERSIONS, VERSIONS)
def test_version_order_is_transitive(one: Version, two: Version, three: Version) -> None:
    """So sorting them means something."""
    low, middle, high = sorted([one, two, three])
    assert low <= middle <= high
    assert low <= high


@given(PARTS)
def test_version_keeps_its_text_and_forgets_no_part(parts: list[int]) -> None:
    """The text is what folders are named with."""
    text = ".".join(map(str, parts))
    assert str(Version(text)) == text
    assert Version(text).parts == tuple(parts)
    assert Version(text).major == parts[0]
    assert Version(f"  {text}\n").text == text


@given(st.text(max_size=20))
def test_text_is_a_version_or_a_value_error_that_names_it(text: str) -> None:
    """No other error, whatever it is."""
    try:
        version = Version(text)
    except ValueError as error:
        assert text in str(error)  # noqa: PT017 - either is right
    else:
        assert set(version.text) <= set("0123456789.")


@pytest.mark.parametrize(
    "text", ["", ".", "1.", ".1", "1..2", "-1", "1.0-rc1", "v1", "1 2", "\u0661.\u0662", "1,2"]
)
def test_anything_but_digits_and_dots_is_refused(text: str) -> None:
    """Also the digits of other scripts, which int() would take."""
    with pytest.raises(ValueError, match="only digits and dots are known"):
        Version(text)


def test_endless_version_is_refused_and_quoted_only_in_part() -> None:
    """It would end up in a log."""
    with pytest.raises(ValueError, match="only digits") as caught:
        Version("1" * 1_000_000)
    assert len(str(caught.value)) < MAX_LENGTH + 100


def test_version_is_no_number_and_no_text() -> None:
    """Comparing with these is a defect and says so."""
    assert Version("1") != "1"
    with pytest.raises(TypeError):
        assert Version("1") < "2"


def test_our_own_version_has_four_parts() -> None:
    """As the fabric writes them."""
    assert len(Version(AGENT_VERSION).parts) == 4
