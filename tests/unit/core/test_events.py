"""The agent's voice: what an event holds, what is said twice, and what an operation reports."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path

import pytest

from tests.support.clock import ManualClock
from tests.support.spool import operations, spooled
from waagent.core.errors import AgentError
from waagent.core.events import (
    AGENT_PROVIDER,
    LOG_PROVIDER,
    ZERO_GUID,
    CommonParameters,
    Events,
    Op,
)
from waagent.core.version import AGENT_NAME, AGENT_VERSION

COMMON = [
    "GAVersion",
    "ContainerId",
    "OpcodeName",
    "EventTid",
    "EventPid",
    "TaskName",
    "ExtensionType",
    "IsInternal",
    "OSVersion",
    "ExecutionMode",
    "RAM",
    "Processors",
    "KeywordName",
    "TenantName",
    "RoleName",
    "RoleInstanceName",
    "Location",
    "SubscriptionId",
    "ResourceGroupName",
    "VMId",
    "ImageOrigin",
]
OTHERS = [name for name in COMMON if name not in ("ExtensionType", "IsInternal")]


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """Where events go."""
    return tmp_path / "events"


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock()


@pytest.fixture
def events(spool: Path, clock: ManualClock) -> Events:
    """Events that go to the spool."""
    return Events(spool, clock)


def test_agent_event_holds_its_own_and_all_common_parameters_in_order(
    events: Events, spool: Path
) -> None:
    """The order of the wire's table."""
    events.add(Op.GOAL_STATE, "done", duration_ms=7)
    (event,) = spooled(spool)
    own = ["Name", "Version", "Operation", "OperationSuccess", "Message", "Duration"]
    assert list(event) == own + COMMON
    assert (event["Name"], event["Version"]) == (AGENT_NAME, AGENT_VERSION)
    assert (event["Operation"], event["OperationSuccess"]) == ("GoalState", True)
    assert (event["Message"], event["Duration"]) == ("done", 7)
    assert event["OpcodeName"] == "2026-01-31T10:11:12.000000Z"
    assert event["ContainerId"] == ZERO_GUID
    assert event["Location"] == "Location_UNINITIALIZED"


def test_event_file_is_the_json_that_collectors_know(events: Events, spool: Path) -> None:
    """An older agent's collector reads it too, after a downgrade."""
    events.add(Op.GOAL_STATE)
    (path,) = spool.iterdir()
    document = json.loads(path.read_text(encoding="utf-8"))
    assert list(document) == ["eventId", "providerId", "parameters", "file_type"]
    assert (document["eventId"], document["providerId"]) == (1, AGENT_PROVIDER)
    assert document["parameters"][0] == {"name": "Name", "value": AGENT_NAME}
    assert path.name == "1769854272000000.waagent.tld"


def test_event_names_the_thread_it_comes_from(events: Events, spool: Path) -> None:
    """Support reads the task name."""
    thread = threading.Thread(
        target=lambda: events.add(Op.HEARTBEAT), name="MonitorHandler", daemon=True
    )
    thread.start()
    thread.join()
    (event,) = spooled(spool)
    assert event["TaskName"] == "MonitorHandler"


def test_what_is_learned_is_said_by_all_further_events(events: Events, spool: Path) -> None:
    """The goal state and the metadata service come later than the first events."""
    events.add(Op.GOAL_STATE)
    events.learn(container_id="c", location="westus", architecture="aarch64")
    events.add(Op.GOAL_STATE)
    before, after = spooled(spool)
    assert before["ContainerId"] == ZERO_GUID
    assert (after["ContainerId"], after["Location"]) == ("c", "westus")
    assert after["KeywordName"] == '{"CpuArchitecture": "aarch64"}'


def test_message_loses_its_sas_token(events: Events, spool: Path) -> None:
    """Before it is on disk."""
    events.add(Op.DOWNLOAD, "from https://a.blob.core.windows.net/x?sig=secret")
    assert "secret" not in next(spool.iterdir()).read_text(encoding="utf-8")


def test_metric_has_its_figure_and_the_common_parameters(events: Events, spool: Path) -> None:
    """Without those that belong to operations."""
    events.add_metric("Memory", "Used Memory (MB)", "", 12)
    (event,) = spooled(spool)
    assert list(event) == ["Category", "Counter", "Instance", "Value", *OTHERS]
    assert event["Value"] == 12.0
    assert isinstance(event["Value"], float)


def test_log_event_goes_to_the_provider_of_logs(events: Events, spool: Path) -> None:
    """As one of the few lines that the service sees."""
    events.add_log("WARNING", "dropped")
    document = json.loads(next(spool.iterdir()).read_text(encoding="utf-8"))
    assert (document["eventId"], document["providerId"]) == (7, LOG_PROVIDER)
    (event,) = spooled(spool)
    own = ["EventName", "CapabilityUsed", "Context1", "Context2", "Context3"]
    assert list(event) == own + OTHERS
    assert [event[name] for name in own] == [
        "Log",
        "WARNING",
        "dropped",
        "2026-01-31T10:11:12.000000Z",
        "",
    ]


def test_extension_type_tells_a_collected_event_from_the_agents_own() -> None:
    """Only where it belongs."""
    parameters = dict(CommonParameters().parameters("t", agent_event=True, extension_type="json"))
    assert parameters["ExtensionType"] == "json"
    assert "ExtensionType" not in dict(CommonParameters().parameters("t", agent_event=False))


def test_failure_is_logged_in_the_form_that_tools_read(
    events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    """Unless its maker has logged it."""
    with caplog.at_level(logging.ERROR, logger="waagent"):
        events.add(Op.DOWNLOAD, "no way", success=False, name="P.T", duration_ms=3)
        events.add(Op.DOWNLOAD, "said already", success=False, quiet=True)
    assert caplog.messages == ["Event: name=P.T, op=Download, message=no way, duration=3"]


def test_periodic_event_is_added_once_in_its_period(
    events: Events, spool: Path, clock: ManualClock
) -> None:
    """The same one: another message or outcome is another event."""
    for message in ("a", "a", "b"):
        events.add(Op.STATUS_PROCESSING, message, every_s=1800)
    clock.advance(1799)
    events.add(Op.STATUS_PROCESSING, "a", every_s=1800)
    clock.advance(1)
    events.add(Op.STATUS_PROCESSING, "a", every_s=1800)
    assert [event["Message"] for event in spooled(spool)] == ["a", "b", "a"]


def test_status_report_is_an_event_only_when_its_fortune_changes(
    events: Events, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is repeated every six seconds; neither spool nor log would have room for more."""
    for success in (True, True, False, False, True):
        events.add(Op.REPORT_STATUS, success=success)
    assert [event["OperationSuccess"] for event in spooled(spool)] == [True, False, True]
    assert len(caplog.records) == 1


def test_status_reports_of_two_handlers_do_not_hide_each_other(events: Events, spool: Path) -> None:
    """Name and version are told apart."""
    events.add(Op.REPORT_STATUS, success=False, name="A", quiet=True)
    events.add(Op.REPORT_STATUS, success=False, name="B", quiet=True)
    events.add(Op.REPORT_STATUS, success=False, name="A", version="2", quiet=True)
    assert len(spooled(spool)) == 3


def test_operation_reports_its_success_with_its_message_and_time(
    events: Events, spool: Path, clock: ManualClock
) -> None:
    """One event at the end."""
    with events.operation(Op.DOWNLOAD, "download it", name="P.T", version="1.0") as attempt:
        clock.advance(1.5)
        attempt.message = "4 bytes"
    (event,) = spooled(spool)
    assert (event["Name"], event["Version"], event["Operation"]) == ("P.T", "1.0", "Download")
    assert (event["OperationSuccess"], event["Message"]) == (True, "4 bytes")
    assert event["Duration"] == 1500


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (AgentError("cannot do it"), "[AgentError] cannot do it"),
        (ZeroDivisionError("a defect"), "[ZeroDivisionError] a defect"),
    ],
)
def test_operation_reports_a_failure_and_passes_it_on(
    events: Events, spool: Path, error: Exception, message: str
) -> None:
    """A defect as well as an error of ours."""
    with pytest.raises(type(error)), events.operation(Op.DOWNLOAD, "download it"):
        raise error
    (event,) = spooled(spool)
    assert (event["OperationSuccess"], event["Message"]) == (False, message)


def test_events_of_a_full_disk_are_lost_but_counted(tmp_path: Path, clock: ManualClock) -> None:
    """The work that is reported on goes on."""
    in_the_way = tmp_path / "events"
    in_the_way.write_text("", encoding="utf-8")
    events = Events(in_the_way, clock)
    events.add(Op.GOAL_STATE)
    events.add(Op.GOAL_STATE)
    assert events.lost == 2
    assert (events.take_lost(), events.take_lost()) == (2, 0)


def test_operations_have_the_names_that_the_fabric_knows() -> None:
    """A sample, and no name twice."""
    assert Op.UNINSTALL.value == "UnInstall"
    assert Op.OS_INFO.value == "OSInfo"
    assert len({op.value for op in Op}) == len(Op.__members__)


def test_status_report_of_an_earlier_process_is_remembered(
    spool: Path, clock: ManualClock, tmp_path: Path
) -> None:
    """Where a file is given."""
    file = tmp_path / "event_status.json"
    Events(spool, clock, status_file=file).add(Op.REPORT_STATUS)
    Events(spool, clock, status_file=file).add(Op.REPORT_STATUS)
    assert operations(spool) == ["ReportStatus"]
