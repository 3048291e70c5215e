"""The status blob: byte for byte as the reference sends it, whatever extensions say."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.golden import recorded
from waagent.protocol.documents.status import (
    ExtensionStatus,
    GoalStateStatus,
    GuestAgentStatus,
    GuestOsInfo,
    HandlerStatus,
    Substatus,
    UpdateStatus,
    VmStatus,
    render_status,
)

MOMENT = datetime(2025, 1, 31, 12, 0, 0, 987654, tzinfo=timezone.utc)
SPELLED = "2025-01-31T12:00:00Z"
GUEST = GuestOsInfo("vm", "debian", "12", "1.2.3.4")
AGENT = GuestAgentStatus("1.2.3.4")

# What went direct is recorded as it was sent; of what went through the host the document is.
AS_SENT = {
    request["body"].rstrip("\0")
    for request in recorded("storage.system")
    if request["method"] == "PUT" and "body" in request
}
STATUSES = {
    text.replace('"timestampUTC": "{TIME}"', f'"timestampUTC": "{SPELLED}"')
    for text in AS_SENT
    | {
        json.dumps(request["body_content"])
        for request in recorded("hgap.status")
        if "body_content" in request
    }
}


def message_of(document: dict[str, Any]) -> Optional[str]:
    """The text of an entry's message."""
    formatted = document.get("formattedMessage")
    return None if formatted is None else formatted["message"]


def extension_of(document: dict[str, Any]) -> ExtensionStatus:
    """A runtimeSettingsStatus as our type."""
    status = document["settingsStatus"]["status"]
    return ExtensionStatus(
        name=status["name"],
        extension_name=document.get("extensionName"),
        sequence_number=document["sequenceNumber"],
        status=status["status"],
        code=status["code"],
        operation=status["operation"],
        configuration_applied_time=status["configurationAppliedTime"],
        message=message_of(status),
        substatus=tuple(
            Substatus(item["name"], item["status"], item["code"], message_of(item))
            for item in status.get("substatus", ())
        ),
    )


def handler_of(document: dict[str, Any]) -> HandlerStatus:
    """An entry of handlerAggregateStatus as our type."""
    settings = document.get("runtimeSettingsStatus")
    return HandlerStatus(
        document["handlerName"],
        document["handlerVersion"],
        document["status"],
        document["code"],
        message_of(document),
        None if settings is None else extension_of(settings),
    )


def status_of(document: dict[str, Any]) -> VmStatus:
    """A recorded status as our type."""
    aggregate = document["aggregateStatus"]
    agent = aggregate["guestAgentStatus"]
    update = agent.get("updateStatus")
    error = message_of(update) or None if update else None
    goal = aggregate.get("vmArtifactsAggregateStatus", {}).get("goalStateAggregateStatus")
    guest = document["guestOSInfo"]
    return VmStatus(
        moment=MOMENT,
        agent=GuestAgentStatus(
            agent["version"],
            agent["status"],
            message_of(agent),
            UpdateStatus(update["expectedVersion"], error) if update else None,
        ),
        guest=GuestOsInfo(
            guest["computerName"], guest["osName"], guest["osVersion"], guest["version"]
        ),
        handlers=tuple(map(handler_of, aggregate["handlerAggregateStatus"])),
        goal_state=GoalStateStatus(
            message_of(goal) or "", MOMENT, goal["inSvdSeqNo"], goal["status"], goal["code"]
        )
        if goal
        else None,
        features=tuple(feature["Key"] for feature in document["supportedFeatures"]),
    )


def rendered(*handlers: HandlerStatus) -> list[dict[str, Any]]:
    """The entries of a report with these handlers."""
    document = json.loads(render_status(VmStatus(MOMENT, AGENT, GUEST, handlers)))
    entries = document["aggregateStatus"]["handlerAggregateStatus"]
    assert isinstance(entries, list)
    return entries


def extension(**values: Any) -> ExtensionStatus:
    """An extension's status with some values of its own."""
    given_values: dict[str, Any] = {
        "name": "P.T",
        "extension_name": None,
        "sequence_number": 3,
        "status": "success",
        **values,
    }
    return ExtensionStatus(**given_values)


@pytest.mark.parametrize("text", sorted(STATUSES))
def test_status_is_byte_for_byte_as_recorded(text: str) -> None:
    """Key order, separators and number forms too: the service compares nothing, tools do."""
    assert render_status(status_of(json.loads(text))) == text.encode("ascii")


def test_recordings_show_every_optional_part_of_the_status() -> None:
    """Else the comparison above would say less than it seems to."""
    assert AS_SENT, "and one shows the reference's own bytes"
    everything = "".join(STATUSES)
    for part in ("updateStatus", "extensionName", "substatus", "FastTrack", '"inSvdSeqNo": "'):
        assert part in everything


def test_handler_without_message_has_no_formatted_message() -> None:
    """Null is told apart from empty."""
    null, empty = rendered(HandlerStatus("A.B", "1", message=None), HandlerStatus("A.B", "1"))
    assert "formattedMessage" not in null
    assert empty["formattedMessage"] == {"lang": "en-US", "message": ""}


def test_extension_without_message_keeps_a_null_message() -> None:
    """As the service has always been given it."""
    (entry,) = rendered(HandlerStatus("A.B", "1", extension=extension()))
    status = entry["runtimeSettingsStatus"]["settingsStatus"]["status"]
    assert status["formattedMessage"] == {"lang": "en-US", "message": None}


def test_extension_without_substatus_has_no_such_key() -> None:
    """An empty array is never sent."""
    (entry,) = rendered(HandlerStatus("A.B", "1", extension=extension()))
    assert "substatus" not in entry["runtimeSettingsStatus"]["settingsStatus"]["status"]


def test_failed_update_is_an_error_with_code_1_and_its_text() -> None:
    """The control plane waits for this."""
    agent = GuestAgentStatus("1.2.3.4", update=UpdateStatus("9.9.9.9", "cannot unpack it"))
    document = json.loads(render_status(VmStatus(MOMENT, agent, GUEST)))
    assert document["aggregateStatus"]["guestAgentStatus"]["updateStatus"] == {
        "expectedVersion": "9.9.9.9",
        "status": "Error",
        "code": 1,
        "formattedMessage": {"lang": "en-US", "message": "cannot unpack it"},
    }


def test_goal_state_is_left_out_until_one_was_processed() -> None:
    """The portal would show a goal state that never was."""
    document = json.loads(render_status(VmStatus(MOMENT, AGENT, GUEST)))
    assert "vmArtifactsAggregateStatus" not in document["aggregateStatus"]


def test_messages_at_every_level_lose_their_sas_tokens() -> None:
    """What an extension logs may hold the key to a storage account."""
    leak = "from https://a.blob.core.windows.net/c/b?sv=2018&sig=secretsecret now"
    agent = GuestAgentStatus("1", message=leak, update=UpdateStatus("1", leak))
    handler = HandlerStatus(
        "A.B",
        "1",
        message=leak,
        extension=extension(message=leak, substatus=(Substatus("s", "error", 1, leak),)),
    )
    goal = GoalStateStatus(leak, MOMENT, "1")
    body = render_status(VmStatus(MOMENT, agent, GUEST, (handler,), goal))
    assert b"secretsecret" not in body
    assert body.count(b"?<redacted> now") == 6


@pytest.mark.parametrize("code", [math.nan, math.inf, -math.inf])
def test_code_that_json_cannot_carry_is_sent_as_zero(code: float) -> None:
    """Python reads NaN from a status file; the service would refuse the whole report."""
    status = extension(code=code, substatus=(Substatus("s", "error", code),))
    entries = rendered(HandlerStatus("A.B", "1", extension=status))
    shown = entries[0]["runtimeSettingsStatus"]["settingsStatus"]["status"]
    assert (shown["code"], shown["substatus"][0]["code"]) == (0, 0)


@given(
    message=st.none() | st.text(st.characters()),
    name=st.none() | st.text(st.characters()),
    code=st.none() | st.integers() | st.floats() | st.text(),
)
def test_status_is_valid_ascii_json_whatever_an_extension_says(
    message: Optional[str], name: Optional[str], code: Any
) -> None:
    """One extension cannot keep the others, and the agent itself, from being reported."""
    status = extension(
        message=message, code=code, substatus=(Substatus(name, "success", code, message),)
    )
    body = render_status(
        VmStatus(MOMENT, AGENT, GUEST, (HandlerStatus("A.B", "1", extension=status),))
    )
    document = json.loads(body.decode("ascii"), parse_constant=refuse)
    (entry,) = document["aggregateStatus"]["handlerAggregateStatus"]
    shown = entry["runtimeSettingsStatus"]["settingsStatus"]["status"]
    assert shown["substatus"][0]["name"] == name
    assert (shown["formattedMessage"]["message"] is None) == (message is None)


def refuse(constant: str) -> None:
    """JSON has no such number."""
    raise AssertionError(f"{constant} is not JSON")
