"""Some rows of the matrix of kills (docs/kills.md); `make kills` plays all, and every step."""

from __future__ import annotations

import pytest

from tests.kills.document import CHOSEN, DOCUMENT, render
from tests.kills.judge import judge
from tests.kills.machine import Stock
from tests.kills.points import POINTS, Point


@pytest.mark.parametrize("point", [p for p in POINTS if p.title in CHOSEN], ids=lambda p: p.title)
def test_killed_child_converges_after_the_next_start(point: Point, stock: Stock) -> None:
    judge(point, stock)


def test_matrix_for_people_is_the_one_that_is_played() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == render(), "run python -m tests.kills"
    assert {point.title for point in POINTS} >= CHOSEN
