"""The whole matrix of kills; `make kills` runs this."""

from __future__ import annotations

import pytest

from tests.kills.judge import judge
from tests.kills.machine import Stock
from tests.kills.points import POINTS, Point


@pytest.mark.parametrize("point", POINTS, ids=lambda each: each.title)
def test_killed_child_converges_after_the_next_start(point: Point, stock: Stock) -> None:
    judge(point, stock)
