"""What was lost: counted, with the first reasons."""

from __future__ import annotations

from pathlib import Path

from tests.support.clock import ManualClock
from tests.support.spool import spooled
from waagent.core.events import Events, Op
from waagent.monitor.losses import Losses


def test_losses_are_told_once_with_their_number_and_first_five_reasons(tmp_path: Path) -> None:
    """The same reason takes one of the five places."""
    events = Events(tmp_path, ManualClock())
    losses = Losses(Op.COLLECT_EVENT_ERRORS)
    for reason in ("a", "a", "b", "c", "d", "e", "f"):
        losses.add(reason)
    losses.add("g", 3)
    losses.report(events)
    losses.report(events)
    (event,) = spooled(tmp_path)
    assert (event["Operation"], event["OperationSuccess"]) == ("CollectEventErrors", False)
    assert event["Message"] == ("DroppedEventsCount: 10\nReasons (first 5 errors): a, b, c, d, e")


def test_report_is_silent_when_nothing_was_lost(tmp_path: Path) -> None:
    """As it should always be."""
    Losses(Op.COLLECT_EVENT_ERRORS).report(Events(tmp_path, ManualClock()))
    assert spooled(tmp_path) == []


def test_reason_is_cut_so_that_the_event_can_be_sent(tmp_path: Path) -> None:
    """An error may quote a whole document."""
    losses = Losses(Op.REPORT_EVENT_ERRORS)
    losses.add("x" * 100000)
    losses.report(Events(tmp_path, ManualClock()))
    (event,) = spooled(tmp_path)
    assert len(str(event["Message"])) < 1000
