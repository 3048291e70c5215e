"""The status blob: what the agent and its extensions say of themselves, every few seconds.

Only the document. Which statuses there are is decided by extensions, how the blob travels by
``protocol.storage`` and ``protocol.hostplugin``. Source: spec WIRE 7.2 and 7.3.
"""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any, Optional, Union

from waagent.core.clock import timestamp_s
from waagent.core.records import dataclass
from waagent.core.redact import redact
from waagent.core.version import AGENT_VERSION

LANGUAGE = "en-US"
READY = "Ready"
NOT_READY = "NotReady"
UNRESPONSIVE = "Unresponsive"
FEATURES = ("MultipleExtensionsPerHandler", "VersioningGovernance")
FAST_TRACK = "FastTrack"

# Extensions write numbers or text here, and the service takes either (spec EXT 4.1).
Code = Union[int, float, str, None]


@dataclass(frozen=True)
class Substatus:
    """One line of an extension's own status; a ``None`` name or message is shown as null."""

    name: Optional[str]
    status: str
    code: Code = 0
    message: Optional[str] = None


@dataclass(frozen=True)
class ExtensionStatus:
    """What one configuration of a handler says of itself, as read from its status file.

    ``name`` is the handler's name, or the extension's where a handler has several; only then is
    ``extension_name`` given. ``status`` is ``None`` when the file held an empty document.
    """

    name: str
    extension_name: Optional[str]
    sequence_number: int
    status: Optional[str]
    code: Code = 0
    operation: Optional[str] = None
    configuration_applied_time: Optional[str] = None
    message: Optional[str] = None
    substatus: tuple[Substatus, ...] = ()


@dataclass(frozen=True)
class HandlerStatus:
    """One entry of the report: a handler, with at most one of its extensions.

    A handler with several extensions has one entry for each. A ``None`` message leaves the
    message out.
    """

    name: str
    version: str
    status: str = NOT_READY
    code: int = 0
    message: Optional[str] = ""
    extension: Optional[ExtensionStatus] = None


@dataclass(frozen=True)
class UpdateStatus:
    """How a version that the control plane asked for is getting on; ``error`` is what failed."""

    expected_version: str = AGENT_VERSION
    error: Optional[str] = None


@dataclass(frozen=True)
class GuestAgentStatus:
    """The agent's own status; ``update`` only when the control plane steers our version."""

    version: str = AGENT_VERSION
    status: str = READY
    message: Optional[str] = "Guest Agent is running"
    update: Optional[UpdateStatus] = None


@dataclass(frozen=True)
class GoalStateStatus:
    """The outcome of the last goal state, and the time it was processed.

    ``sequence`` is the incarnation's text, or on Fast Track the number from vmSettings.
    """

    message: str
    processed: datetime
    sequence: Union[str, int]
    status: str = "Success"
    code: int = 0


@dataclass(frozen=True)
class GuestOsInfo:
    """The guest as the portal shows it; ``version`` is the agent's."""

    computer_name: str
    name: str
    os_version: str
    version: str = AGENT_VERSION


@dataclass(frozen=True)
class VmStatus:
    """The whole report; ``goal_state`` is ``None`` until one has been processed."""

    moment: datetime
    agent: GuestAgentStatus
    guest: GuestOsInfo
    handlers: tuple[HandlerStatus, ...] = ()
    goal_state: Optional[GoalStateStatus] = None
    features: tuple[str, ...] = FEATURES


def render_status(status: VmStatus) -> bytes:
    """The JSON document, ASCII, without secrets in its messages; never fails for its content."""
    now = timestamp_s(status.moment)
    aggregate: dict[str, Any] = {
        "guestAgentStatus": _agent(status.agent),
        "handlerAggregateStatus": [_handler(handler, now) for handler in status.handlers],
    }
    if status.goal_state is not None:
        aggregate["vmArtifactsAggregateStatus"] = {
            "goalStateAggregateStatus": _goal_state(status.goal_state)
        }
    document = {
        "version": "1.1",
        "timestampUTC": now,
        "aggregateStatus": aggregate,
        "guestOSInfo": {
            "computerName": status.guest.computer_name,
            "osName": status.guest.name,
            "osVersion": status.guest.os_version,
            "version": status.guest.version,
        },
        "supportedFeatures": [{"Key": name, "Value": "1.0"} for name in status.features],
    }
    return json.dumps(document).encode("ascii")


def _formatted(message: Optional[str]) -> dict[str, Any]:
    return {"lang": LANGUAGE, "message": None if message is None else redact(message)}


def _code(code: Code) -> Code:
    """The code as JSON can carry it: NaN and the infinities, which Python reads, are not JSON."""
    return 0 if isinstance(code, float) and not math.isfinite(code) else code


def _agent(agent: GuestAgentStatus) -> dict[str, Any]:
    document: dict[str, Any] = {
        "version": agent.version,
        "status": agent.status,
        "formattedMessage": _formatted(agent.message),
    }
    if agent.update is not None:
        failed = agent.update.error is not None
        document["updateStatus"] = {
            "expectedVersion": agent.update.expected_version,
            "status": "Error" if failed else "Success",
            "code": 1 if failed else 0,
            "formattedMessage": _formatted(agent.update.error or ""),
        }
    return document


def _goal_state(state: GoalStateStatus) -> dict[str, Any]:
    return {
        "formattedMessage": _formatted(state.message),
        "timestampUTC": timestamp_s(state.processed),
        "inSvdSeqNo": state.sequence,
        "status": state.status,
        "code": state.code,
    }


def _handler(handler: HandlerStatus, now: str) -> dict[str, Any]:
    document: dict[str, Any] = {
        "handlerVersion": handler.version,
        "handlerName": handler.name,
        "status": handler.status,
        "code": handler.code,
        "useExactVersion": True,
    }
    if handler.message is not None:
        document["formattedMessage"] = _formatted(handler.message)
    if handler.extension is not None:
        document["runtimeSettingsStatus"] = _extension(handler.extension, now)
    return document


def _extension(extension: ExtensionStatus, now: str) -> dict[str, Any]:
    status: dict[str, Any] = {
        "name": extension.name,
        "configurationAppliedTime": extension.configuration_applied_time,
        "operation": extension.operation,
        "status": extension.status,
        "code": _code(extension.code),
        "formattedMessage": _formatted(extension.message),
    }
    if extension.substatus:
        status["substatus"] = [_substatus(item) for item in extension.substatus]
    document: dict[str, Any] = {
        "settingsStatus": {"status": status, "version": 1.0, "timestampUTC": now},
        "sequenceNumber": extension.sequence_number,
    }
    if extension.extension_name is not None:
        document["extensionName"] = extension.extension_name
    return document


def _substatus(item: Substatus) -> dict[str, Any]:
    return {
        "name": item.name,
        "status": item.status,
        "code": _code(item.code),
        "formattedMessage": _formatted(item.message),
    }
