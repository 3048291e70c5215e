"""One row of the matrix, played and judged."""

from __future__ import annotations

from tests.kills.machine import Stock
from tests.kills.points import Point
from tests.kills.strike import play
from tests.kills.verdict import faults


def judge(point: Point, stock: Stock) -> None:
    """Fail unless the machine ends as if nobody had been killed, by the commands of the row."""
    story = play(point, stock)
    found = faults(story.before, story.end, stock.undisturbed(point.scenario))
    assert not found, "\n".join(found)
    assert story.again == point.again, f"the next start ran {story.again}"
    if story.waited:
        for words in ("which an earlier start left running, at most", "No longer waiting"):
            assert words in story.log, story.log
