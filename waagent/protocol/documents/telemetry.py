"""Telemetry events: as spooled files hold them, and as the wire server takes them.

Only documents; collecting and sending is the monitor's work, creating is ``core.events``.
Source: spec WIRE 8.3 (batches), 8.4 (encoding), 8.6 (files).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Union

from waagent.core import xml
from waagent.core.errors import DocumentError
from waagent.core.records import dataclass, field
from waagent.core.xml import quoteattr
from waagent.protocol.documents.json_fields import parse_json
from waagent.protocol.documents.xml_text import xml_text

MAX_EVENTS_BYTES = 2**16 - 2**10
"""What the events of one request may take, without the envelope around them."""

FILE = "event file"
_PROVIDER = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_DECIMAL = re.compile(r"[0-9]{1,18}")

# A parameter's value is what JSON can hold. Only str, int, float and bool have a wire type.
Value = Any


@dataclass(frozen=True)
class TelemetryEvent:
    """One event: parameters in the order they are sent.

    The id is text when the event came from an XML file, else a number: extensions' old files
    keep their form on the wire.
    """

    event_id: Union[int, str]
    provider: str
    parameters: tuple[tuple[str, Value], ...]

    def value(self, name: str) -> Value:
        """The value of the first parameter of that name, or ``None``."""
        return next((value for key, value in self.parameters if key == name), None)

    def describe(self) -> str:
        """What is said in a log of an event that cannot be sent."""
        names = ("Name", "Version", "Operation", "OperationSuccess")
        return ", ".join(f"{name}: {self.value(name)}" for name in names)


@dataclass(frozen=True)
class Batch:
    """One request: events of one provider."""

    provider: str
    events: tuple[TelemetryEvent, ...] = field(repr=False)
    body: bytes = field(repr=False)


def parse_event(data: bytes) -> TelemetryEvent:
    """The event of a spooled file, JSON or the older XML; else ``DocumentError``."""
    try:
        return _parse_json_event(data)
    except DocumentError as error:
        if not data.lstrip().startswith(b"<"):
            raise
        try:
            return _parse_xml_event(data)
        except DocumentError as xml_error:
            raise xml_error from error


def render_event(event: TelemetryEvent) -> bytes:
    """The event as an element, its parameters escaped inside of CDATA (spec WIRE 8.4)."""
    parameters = "".join(_parameter(name, value) for name, value in event.parameters)
    # "]]>" cannot occur in there: every ">" of a name or a value is escaped.
    text = f'<Event id="{event.event_id}"><![CDATA[{parameters}]]></Event>'
    return text.encode("utf-8")


def render_batches(
    events: Iterable[TelemetryEvent],
) -> tuple[tuple[Batch, ...], tuple[TelemetryEvent, ...]]:
    """The requests that carry these events, and the events too large for any request.

    Providers are never mixed; a request is complete when the next event would fill it.
    """
    ready: list[Batch] = []
    oversized: list[TelemetryEvent] = []
    filling: dict[str, _Filling] = {}
    for event in events:
        element = render_event(event)
        if len(element) >= MAX_EVENTS_BYTES:
            oversized.append(event)
            continue
        batch = filling.setdefault(event.provider, _Filling())
        if batch.size + len(element) >= MAX_EVENTS_BYTES:
            ready.append(batch.close(event.provider))
            batch = filling[event.provider] = _Filling()
        batch.add(event, element)
    ready.extend(batch.close(provider) for provider, batch in filling.items())
    return tuple(ready), tuple(oversized)


@dataclass
class _Filling:
    """A request that still takes events."""

    size: int = 0
    events: list[TelemetryEvent] = field(default_factory=list)
    elements: list[bytes] = field(default_factory=list)

    def add(self, event: TelemetryEvent, element: bytes) -> None:
        self.size += len(element)
        self.events.append(event)
        self.elements.append(element)

    def close(self, provider: str) -> Batch:
        head = f'<?xml version="1.0"?><TelemetryData version="1.0"><Provider id="{provider}">'
        body = head.encode("ascii") + b"".join(self.elements) + b"</Provider></TelemetryData>"
        return Batch(provider, tuple(self.events), body)


def _parameter(name: str, value: Value) -> str:
    return f'<Param Name={_quoted(name)} Value={_quoted(str(value))} T="{_wire_type(value)}" />'


def _quoted(text: str) -> str:
    return quoteattr(xml_text(text))


def _wire_type(value: Value) -> str:
    if isinstance(value, bool):  # a bool is an int too, so it comes first
        return "mt:bool"
    if isinstance(value, int):
        return "mt:uint64"
    if isinstance(value, float):
        return "mt:float64"
    return "mt:wstr" if isinstance(value, str) else ""


def _parse_json_event(data: bytes) -> TelemetryEvent:
    document = parse_json(data, FILE)
    if not isinstance(document, Mapping):
        raise DocumentError(f"cannot read {FILE}: an object is expected")
    event_id = document.get("eventId")
    if isinstance(event_id, bool) or not isinstance(event_id, int) or not 0 <= event_id < 2**31:
        raise DocumentError(f'cannot read {FILE}: "eventId" is not a number')
    parameters = document.get("parameters")
    if not isinstance(parameters, list):
        raise DocumentError(f'cannot read {FILE}: "parameters" is not an array')
    return TelemetryEvent(
        event_id,
        _provider(document.get("providerId")),
        tuple(_json_parameter(parameter) for parameter in parameters),
    )


def _json_parameter(parameter: Any) -> tuple[str, Value]:
    name = parameter.get("name") if isinstance(parameter, Mapping) else None
    if not isinstance(name, str) or "value" not in parameter:
        raise DocumentError(f"cannot read {FILE}: a parameter lacks its name or value")
    return name, parameter["value"]


def _parse_xml_event(data: bytes) -> TelemetryEvent:
    root = xml.parse(data, FILE)
    event_id = root.one("Event").attr("id") or ""
    if not _DECIMAL.fullmatch(event_id):
        raise root.error("the event's id is not a number")
    return TelemetryEvent(
        event_id,
        _provider(root.one("Provider").attr("id")),
        tuple(_xml_parameter(node) for node in root.many("Param")),
    )


def _xml_parameter(node: xml.Node) -> tuple[str, Value]:
    name, text, kind = node.attr("Name"), node.attr("Value"), node.attr("T")
    if name is None or text is None:
        raise node.error("a parameter lacks its name or value")
    if kind == "mt:bool":
        return name, text.strip().lower() == "true"
    try:
        if kind == "mt:uint64":
            return name, int(text)
        if kind == "mt:float64":
            return name, float(text)
    except ValueError:
        raise node.error(f'"{kind}" has another value') from None
    return name, text


def _provider(value: Any) -> str:
    # It goes into an attribute as it is, and stands for the table that the event is stored in.
    if not isinstance(value, str) or not _PROVIDER.fullmatch(value):
        raise DocumentError(f"cannot read {FILE}: the provider is not a GUID")
    return value
