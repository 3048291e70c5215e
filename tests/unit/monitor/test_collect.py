"""The spool's collector: every file goes, every event is queued or counted."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.samples import sample
from tests.support.spool import spooled
from tests.support.telemetry import tools
from waagent.core.events import AGENT_PROVIDER, LOG_PROVIDER, Op
from waagent.monitor.collect import MAX_FILE, SpoolCollector, periodics

XML_EVENT = (
    f'<Data><Provider id="{AGENT_PROVIDER}"/><Event id="1"/>'
    '<Param Name="Name" Value="P.T" T="mt:wstr"/><Param Name="More" Value="x" T="mt:wstr"/></Data>'
)


def document(
    *parameters: tuple[str, Any], event_id: int = 1, provider: str = AGENT_PROVIDER
) -> str:
    """An event file's text."""
    return json.dumps(
        {
            "eventId": event_id,
            "providerId": provider,
            "parameters": [{"name": name, "value": value} for name, value in parameters],
        }
    )


class Collecting:
    """A spool with files, and what became of them."""

    def __init__(self, spool: Path, *, limit: int = 4000) -> None:
        spool.mkdir()
        self.spool = spool
        self.tools, self.clock = tools(spool, limit=limit)
        self.collector = SpoolCollector(spool, self.tools)

    def put(self, name: str, text: str) -> Path:
        """A file in the spool."""
        path = self.spool / name
        path.write_text(text, encoding="utf-8")
        return path

    def queued(self) -> list[dict[str, Any]]:
        """The events that are on their way, by parameter."""
        return [dict(event.parameters) for event in self.tools.outbox.take_all()]

    def left(self) -> list[str]:
        """What is still in the spool, without the agent's own reports of losses."""
        names = sorted(path.name for path in self.spool.iterdir())
        return [name for name in names if not name.endswith(".waagent.tld")]

    def losses(self) -> Optional[str]:
        """What the agent said of losses."""
        told = [e for e in spooled(self.spool) if str(e["Operation"]).startswith("CollectEvent")]
        assert len(told) <= 1
        return str(told[0]["Message"]) if told else None


@pytest.fixture
def collecting(tmp_path: Path) -> Collecting:
    """An empty spool."""
    return Collecting(tmp_path / "events")


def test_own_events_are_queued_as_they_were_written_and_their_files_removed(
    collecting: Collecting,
) -> None:
    """Complete, oldest first."""
    collecting.tools.events.add(Op.GOAL_STATE, "first")
    collecting.tools.events.add(Op.GOAL_STATE, "second")
    written = spooled(collecting.spool)
    collecting.collector.collect()
    assert collecting.queued() == written
    assert list(collecting.spool.iterdir()) == []
    assert collecting.clock.waits == []


def test_only_files_that_end_in_tld_are_taken(collecting: Collecting) -> None:
    """A file that is being written has another name."""
    collecting.put("1.tmp", document(("Name", "x")))
    collecting.put("readme", "")
    (collecting.spool / "folder.tld").mkdir()
    collecting.collector.collect()
    assert collecting.queued() == []
    assert collecting.left() == ["1.tmp", "folder.tld", "readme"]
    assert collecting.losses() is None


def test_spool_that_does_not_exist_is_no_error(tmp_path: Path) -> None:
    """Nothing was said yet."""
    gone, _ = tools(tmp_path / "none")
    SpoolCollector(tmp_path / "none", gone).collect()
    assert len(gone.outbox) == 0


def test_extensions_older_event_keeps_six_parameters_and_gets_the_common_ones(
    collecting: Collecting,
) -> None:
    """With the time of its file, in UTC whatever the machine's zone."""
    path = collecting.put("custom.tld", sample("events/custom_script_1.tld").decode())
    os.utime(path, (1738324800.5, 1738324800.5))
    collecting.tools.events.learn(container_id="c")
    collecting.collector.collect()
    (event,) = collecting.queued()
    assert list(event)[:7] == [
        "Name",
        "Version",
        "Operation",
        "OperationSuccess",
        "Message",
        "Duration",
        "GAVersion",
    ]
    assert (event["Name"], event["ContainerId"]) == ("Microsoft.Azure.Extensions.CustomScript", "c")
    assert event["OpcodeName"] == "2025-01-31T12:00:00.500000Z"
    assert (event["ExtensionType"], event["IsInternal"]) == ("json", False)


def test_extensions_event_loses_parameters_that_are_not_its_own(collecting: Collecting) -> None:
    """It cannot speak for the machine."""
    collecting.put("1.tld", document(("Name", "P.T"), ("ContainerId", "forged"), ("Odd", 1)))
    collecting.collector.collect()
    (event,) = collecting.queued()
    assert event["ContainerId"] == collecting.tools.events.common.container_id
    assert "Odd" not in event


def test_event_of_an_old_agent_gets_only_what_it_lacks(collecting: Collecting) -> None:
    """After an upgrade there may be some."""
    collecting.put("1.tld", document(("Name", "WALinuxAgent"), ("ContainerId", "old"), ("X", 1)))
    collecting.collector.collect()
    (event,) = collecting.queued()
    assert (event["ContainerId"], event["X"]) == ("old", 1)
    assert event["VMId"] == "VMId_UNINITIALIZED"
    assert list(event)[:3] == ["Name", "ContainerId", "X"]


@pytest.mark.parametrize(
    "text", [document(("Name", "P.T"), event_id=7, provider=LOG_PROVIDER), XML_EVENT]
)
def test_only_agent_events_in_json_say_their_extension_type(
    collecting: Collecting, text: str
) -> None:
    """The XML form's id is text, as it was in the agents that collected it."""
    collecting.put("1.tld", text)
    collecting.collector.collect()
    (event,) = collecting.queued()
    assert event["Name"] == "P.T"
    assert "ExtensionType" not in event


def test_message_of_an_extension_loses_its_sas_token(collecting: Collecting) -> None:
    """Whoever wrote it."""
    leak = "https://a.blob.core.windows.net/x?sig=secret"
    collecting.put("1.tld", document(("Name", "P.T"), ("Message", leak)))
    collecting.collector.collect()
    (event,) = collecting.queued()
    assert event["Message"] == "https://a.blob.core.windows.net/x?<redacted>"


def test_file_that_is_completed_meanwhile_is_read_the_next_time(collecting: Collecting) -> None:
    """Not every extension renames."""
    text = document(("Name", "P.T"))
    path = collecting.put("1.tld", text[:20])
    collecting.clock.at(0.5, lambda: void(path.write_text(text, encoding="utf-8")))
    collecting.collector.collect()
    assert len(collecting.queued()) == 1
    assert collecting.clock.waits == [1.0]
    assert collecting.losses() is None


def void(_: object) -> None:
    """Forget a result."""


def test_broken_files_are_tried_three_times_together_then_removed_and_counted(
    collecting: Collecting,
) -> None:
    """A hundred of them cost no more time than one."""
    for number in range(100):
        collecting.put(f"{number}.tld", "{")
    collecting.put("good.tld", document(("Name", "P.T")))
    collecting.collector.collect()
    assert len(collecting.queued()) == 1
    assert collecting.clock.waits == [1.0, 1.0]
    assert collecting.left() == []
    message = collecting.losses() or ""
    assert message.startswith("DroppedEventsCount: 100\nReasons (first 5 errors): 0.tld: ")


def test_file_that_is_not_utf8_is_counted_under_its_own_operation(collecting: Collecting) -> None:
    """The fabric tells them apart."""
    (collecting.spool / "1.tld").write_bytes(b'{"eventId": "\xff"}')
    collecting.collector.collect()
    (event,) = spooled(collecting.spool)
    assert event["Operation"] == "CollectEventUnicodeErrors"
    assert collecting.left() == []


def test_what_is_no_regular_file_is_removed_without_being_opened(
    collecting: Collecting, tmp_path: Path
) -> None:
    """A pipe would never end, and a link could lead anywhere."""
    target = tmp_path / "target"
    target.write_text(document(("Name", "P.T")), encoding="utf-8")
    (collecting.spool / "link.tld").symlink_to(target)
    os.mkfifo(collecting.spool / "pipe.tld")
    collecting.collector.collect()
    assert collecting.queued() == []
    assert collecting.left() == []
    assert target.exists()
    assert "DroppedEventsCount: 2" in (collecting.losses() or "")


def test_file_that_is_too_large_is_dropped(collecting: Collecting) -> None:
    """It could not be sent anyway."""
    collecting.put("1.tld", " " * (MAX_FILE + 1))
    collecting.collector.collect()
    assert collecting.left() == []
    assert "larger than" in (collecting.losses() or "")


def test_files_stay_when_the_outbox_is_full(tmp_path: Path) -> None:
    """The disk is where they are safe."""
    collecting = Collecting(tmp_path / "events", limit=2)
    for number in range(3):
        collecting.put(f"{number}.tld", document(("Name", "P.T")))
    collecting.collector.collect()
    assert len(collecting.queued()) == 2
    assert collecting.left() == ["2.tld"]
    collecting.collector.collect()
    assert len(collecting.queued()) == 1
    assert collecting.losses() is None


def test_files_stay_when_the_agent_is_asked_to_stop(collecting: Collecting) -> None:
    """Also those that were to be tried again."""
    collecting.put("broken.tld", "{")
    collecting.clock.at(0.5, collecting.tools.stop.set)
    collecting.collector.collect()
    assert collecting.left() == ["broken.tld"]
    collecting.put("good.tld", document(("Name", "P.T")))
    collecting.collector.collect()
    assert collecting.queued() == []
    assert collecting.left() == ["broken.tld", "good.tld"]


def test_events_that_the_spool_could_not_keep_are_told(collecting: Collecting) -> None:
    """Nothing is lost without a word."""
    for number in range(1001):
        collecting.put(f"{number:04}.tld", "{}")
    collecting.tools.events.add(Op.GOAL_STATE)
    assert collecting.tools.events.lost == 2
    for path in collecting.spool.iterdir():
        path.unlink()
    collecting.collector.collect()
    assert "DroppedEventsCount: 2" in (collecting.losses() or "")
    assert collecting.tools.events.lost == 0


def test_collector_runs_every_minute(collecting: Collecting) -> None:
    """At once for the first time."""
    (periodic,) = periodics(collecting.collector)
    assert (periodic.every_s, periodic.first_after_s) == (60.0, 0.0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary() | st.text().map(str.encode) | st.just(XML_EVENT.encode()))
def test_any_file_is_removed_and_its_event_queued_or_counted(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """Whatever an extension left there."""
    collecting = Collecting(tmp_path_factory.mktemp("hostile") / "events")
    (collecting.spool / "1.tld").write_bytes(data)
    collecting.collector.collect()
    assert collecting.left() == []
    assert (len(collecting.queued()) == 1) == (collecting.losses() is None)
