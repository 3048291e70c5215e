"""Events that extensions write as JSON files in their own events folder (spec WIRE 8.7).

Only what one event must look like; folders, numbers of files and events are the monitor's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waagent.core.errors import EventDropped
from waagent.core.records import dataclass
from waagent.core.redact import redact
from waagent.protocol.documents.json_fields import parse_json
from waagent.protocol.documents.telemetry import TelemetryEvent

MAX_MESSAGE = 3072
MAX_EVENT = 6144

# In the order in which their sizes are added.
_KEYS = (
    "EventLevel",
    "EventPid",
    "EventTid",
    "Message",
    "OperationId",
    "TaskName",
    "Timestamp",
    "Version",
)
_NUMBERS = frozenset({"EventPid", "EventTid"})


@dataclass(frozen=True)
class ExtensionEvent:
    """One event, all of it text, without secrets and surrounding white space."""

    level: str
    pid: str
    tid: str
    message: str
    operation_id: str
    task_name: str
    timestamp: str
    version: str

    def telemetry(
        self, handler: str, common: list[tuple[str, Any]], *, event_id: int, provider: str
    ) -> TelemetryEvent:
        """The event as it is sent: common parameters with its own in place, then the rest."""
        own = {"TaskName": self.task_name, "EventPid": self.pid, "EventTid": self.tid}
        parameters = [(name, own.get(name, value)) for name, value in common]
        parameters += [
            ("EventName", f"{handler}-{self.version}"),
            ("CapabilityUsed", self.level),
            ("Context1", self.message),
            ("Context2", self.timestamp),
            ("Context3", self.operation_id),
        ]
        return TelemetryEvent(event_id, provider, tuple(parameters))


def parse_event_items(data: bytes) -> list[Any]:
    """The items of a file, which holds one event or an array; not JSON is a ``DocumentError``."""
    document = parse_json(data, "extension event file")
    return document if isinstance(document, list) else [document]


def parse_extension_event(item: Any) -> ExtensionEvent:
    """One item as an event; one that is not is ``EventDropped`` with the category and why."""
    if not isinstance(item, Mapping):
        raise EventDropped("InvalidTypeError: an event is not an object")
    given = {str(key).casefold(): value for key, value in item.items()}
    absent = [key for key in _KEYS if key.casefold() not in given]
    if absent:
        raise EventDropped(f"MissingKeyError: {', '.join(absent)} not found")
    values = {key: _text(key, given[key.casefold()]) for key in _KEYS}
    values["Message"] = values["Message"][:MAX_MESSAGE]
    if not values["Message"]:
        raise EventDropped("EmptyMessageError: the message is empty")
    _check_size(values)
    return ExtensionEvent(*(values[key] for key in _KEYS))


def _text(key: str, value: Any) -> str:
    if key in _NUMBERS and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise EventDropped(f"InvalidTypeError: {key} is not text")
    return redact(value.strip())


def _check_size(values: Mapping[str, str]) -> None:
    """The last field's own size is not counted, as extensions have come to rely on."""
    size = 0
    for key in _KEYS:
        if size > MAX_EVENT:
            raise EventDropped(f"OversizeEventError: the event is over {MAX_EVENT} characters")
        size += len(values[key])
