"""The extensions' events folders: limits, order, what is dropped, and a folder that is a trap."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.spool import spooled
from tests.support.telemetry import tools
from waagent.monitor.extension_events import (
    MAX_EVENTS,
    MAX_FILE,
    ExtensionEventsCollector,
    periodics,
)


def event(message: str = "m", **changes: Any) -> dict[str, Any]:
    """An event as an extension writes it."""
    return {
        "Version": "1.0",
        "Timestamp": "2025-01-31T12:00:00Z",
        "TaskName": "t",
        "EventLevel": "Informational",
        "Message": message,
        "EventPid": "1",
        "EventTid": "2",
        "OperationId": "o",
        **changes,
    }


class Collecting:
    """Log folders with events, and what became of them."""

    def __init__(self, place: Path, *, limit: int = 4000) -> None:
        self.logs = place / "azure"
        self.logs.mkdir()
        self.spool = place / "spool"
        self.tools, self.clock = tools(self.spool, limit=limit)
        self.collector = ExtensionEventsCollector(self.logs, self.tools)

    def folder(self, handler: str = "P.T") -> Path:
        """A handler's events folder."""
        folder = self.logs / handler / "events"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def put(self, name: str, content: object, handler: str = "P.T") -> Path:
        """A file of events."""
        path = self.folder(handler) / name
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    def queued(self) -> list[dict[str, Any]]:
        """The events that are on their way, by parameter."""
        return [dict(one.parameters) for one in self.tools.outbox.take_all()]

    def messages(self) -> list[str]:
        """The texts of those events."""
        return [str(one["Context1"]) for one in self.queued()]

    def warnings(self) -> list[str]:
        """What the service was warned of."""
        return [str(one["Context1"]) for one in spooled(self.spool)]


@pytest.fixture
def collecting(tmp_path: Path) -> Collecting:
    """No handler has written anything."""
    return Collecting(tmp_path)


def test_event_is_queued_under_its_handlers_name_with_its_files_time(
    collecting: Collecting,
) -> None:
    """And the file is gone."""
    path = collecting.put("1.json", [event("hello")])
    os.utime(path, (1738324800, 1738324800))
    collecting.collector.collect()
    (queued,) = collecting.queued()
    assert (queued["EventName"], queued["Context1"]) == ("P.T-1.0", "hello")
    assert queued["OpcodeName"] == "2025-01-31T12:00:00.000000Z"
    assert "ExtensionType" not in queued
    assert list(collecting.folder().iterdir()) == []
    assert collecting.warnings() == []


def test_log_tells_what_tools_look_for(
    collecting: Collecting, caplog: pytest.LogCaptureFixture
) -> None:
    """The pipeline once, the number of events each time."""
    with caplog.at_level(logging.INFO, logger="waagent"):
        collecting.put("1.json", [event(), event()])
        collecting.collector.collect()
        collecting.collector.collect()
    assert caplog.messages == [
        "Extension Telemetry pipeline enabled: True",
        "Collected 2 events for extension: P.T",
    ]


def test_newest_files_come_first_and_other_names_are_only_removed(collecting: Collecting) -> None:
    """By name, as they are numbered by time."""
    collecting.put("1.json", event("old"))
    collecting.put("2.JSON", event("new"))
    collecting.put("a.json", event("no number"))
    collecting.put("3.json.tmp", event("partial"))
    (collecting.folder() / "deeper").mkdir()
    collecting.collector.collect()
    assert collecting.messages() == ["new", "old"]
    assert [path.name for path in collecting.folder().iterdir()] == ["deeper"]


@pytest.mark.parametrize("files", [1, 4])
def test_handler_has_360_events_in_a_period(collecting: Collecting, files: int) -> None:
    """The rest is removed, and said."""
    for number in range(files):
        collecting.put(f"{number}.json", [event()] * (400 // files))
    collecting.put("1.json", event("other"), handler="Q.U")
    collecting.collector.collect()
    queued = collecting.queued()
    assert len([one for one in queued if one["EventName"] == "P.T-1.0"]) == MAX_EVENTS == 360
    assert len([one for one in queued if one["EventName"] == "Q.U-1.0"]) == 1
    assert list(collecting.folder().iterdir()) == []
    assert collecting.warnings() == [
        "Reached max count for the extension: P.T; Max Limit: 360. Skipping the rest."
    ]


def test_dropped_events_are_told_once_by_reason(collecting: Collecting) -> None:
    """They do not affect the others of their file."""
    short = event()
    del short["OperationId"]
    collecting.put("1.json", [event(""), short, short, event("good")])
    collecting.collector.collect()
    assert collecting.messages() == ["good"]
    (warning,) = collecting.warnings()
    assert warning == (
        "Dropped events for Extension: P.T; Details:\n"
        "\tReason: [InvalidExtensionEventError] EmptyMessageError: the message is empty;"
        " Dropped Count: 1\n"
        "\tReason: [InvalidExtensionEventError] MissingKeyError: OperationId not found;"
        " Dropped Count: 2"
    )


def test_reasons_are_bounded_whatever_an_extension_leaves_out(collecting: Collecting) -> None:
    """There are 255 ways to leave keys out."""
    keys = sorted(event())
    items = [
        {key: value for key, value in event().items() if not number >> keys.index(key) & 1}
        for number in range(1, 256)
    ]
    collecting.put("1.json", items)
    collecting.collector.collect()
    (warning,) = collecting.warnings()
    assert warning.count("Dropped Count") == 21
    assert "Reason: other reasons; Dropped Count: 235" in warning


def test_large_file_is_skipped_with_a_warning(collecting: Collecting) -> None:
    """And removed."""
    path = collecting.folder() / "1.json"
    path.write_bytes(b" " * (MAX_FILE + 1))
    collecting.collector.collect()
    assert not path.exists()
    (warning,) = collecting.warnings()
    assert warning.startswith("Skipping the event file 1.json of P.T: ")


def test_broken_files_are_tried_three_times_together_and_few_warnings_are_given(
    collecting: Collecting,
) -> None:
    """A thousand of them take two seconds, and do not fill the spool."""
    for number in range(1000):
        (collecting.folder() / f"{number}.json").write_text("{", encoding="utf-8")
    collecting.collector.collect()
    assert collecting.clock.waits == [1.0, 1.0]
    warnings = collecting.warnings()
    assert len(warnings) == 11
    assert warnings[-1] == "Skipped 990 more event files of P.T"
    assert list(collecting.folder().iterdir()) == []


def test_files_stay_when_the_outbox_is_full_or_the_agent_stops(tmp_path: Path) -> None:
    """Whatever their names: nothing more is removed then."""
    collecting = Collecting(tmp_path, limit=1)
    collecting.put("2.json", event("first"))
    collecting.put("1.json", event("second"))
    collecting.put("other", "")
    collecting.collector.collect()
    assert collecting.messages() == ["first"]
    assert sorted(path.name for path in collecting.folder().iterdir()) == ["1.json", "other"]
    collecting.tools.stop.set()
    collecting.collector.collect()
    assert collecting.messages() == []
    assert (collecting.folder() / "1.json").exists()


def test_events_folder_that_is_a_link_is_not_followed(
    collecting: Collecting, tmp_path: Path
) -> None:
    """An extension may own its log folder, and we are root: its link could lead to /etc."""
    precious = tmp_path / "etc"
    precious.mkdir()
    (precious / "1.json").write_text(json.dumps(event()), encoding="utf-8")
    (precious / "passwd").write_text("root", encoding="utf-8")
    (collecting.logs / "P.T").mkdir()
    (collecting.logs / "P.T" / "events").symlink_to(precious)
    collecting.put("1.json", event("honest"), handler="Q.U")
    collecting.collector.collect()
    assert collecting.messages() == ["honest"]
    assert sorted(path.name for path in precious.iterdir()) == ["1.json", "passwd"]


def test_link_and_pipe_in_the_folder_are_removed_without_being_opened(
    collecting: Collecting, tmp_path: Path
) -> None:
    """What they lead to stays."""
    target = tmp_path / "shadow"
    target.write_text(json.dumps(event("secret")), encoding="utf-8")
    (collecting.folder() / "1.json").symlink_to(target)
    os.mkfifo(collecting.folder() / "2.json")
    collecting.collector.collect()
    assert collecting.messages() == []
    assert list(collecting.folder().iterdir()) == []
    assert target.exists()


def test_handlers_without_events_folder_and_stray_files_are_passed_over(
    collecting: Collecting,
) -> None:
    """Most have none."""
    (collecting.logs / "A.B").mkdir()
    (collecting.logs / "stray.log").write_text("", encoding="utf-8")
    collecting.put("1.json", event())
    collecting.collector.collect()
    assert len(collecting.messages()) == 1


def test_log_folder_that_does_not_exist_is_no_error(tmp_path: Path) -> None:
    """No extension was ever installed."""
    empty, _ = tools(tmp_path / "spool")
    ExtensionEventsCollector(tmp_path / "none", empty).collect()
    assert len(empty.outbox) == 0


def test_period_is_the_configured_one(collecting: Collecting) -> None:
    """``Debug.EtpCollectionPeriod``."""
    (periodic,) = periodics(collecting.collector, period_s=300)
    assert periodic.every_s == 300


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary() | st.text().map(str.encode) | st.just(json.dumps([event()]).encode()))
def test_any_file_is_removed_and_its_events_queued_or_told(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """Whatever an extension left there; an empty array alone says nothing."""
    collecting = Collecting(tmp_path_factory.mktemp("hostile"))
    (collecting.folder() / "1.json").write_bytes(data)
    collecting.collector.collect()
    assert list(collecting.folder().iterdir()) == []
    assert collecting.queued() or collecting.warnings() or data.strip() == b"[]"
