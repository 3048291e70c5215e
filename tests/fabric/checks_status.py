"""What the fabric expects of a status blob (WIRE 7.2), as sentences about what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_HANDLER_STATES = ("Ready", "NotReady", "Unresponsive", "Installing")
_EXTENSION_STATES = ("transitioning", "warning", "error", "success")


def status_faults(document: Any) -> list[str]:
    """One sentence for each place where a status document breaks its schema."""
    return [f"status: {sentence}" for sentence in _document(document)]


def _document(doc: Any) -> Iterator[str]:
    if not isinstance(doc, dict):
        yield "the document is no object"
        return
    yield from _members(
        doc, "the document", required="version timestampUTC aggregateStatus guestOSInfo",
        optional="supportedFeatures",
    )  # fmt: skip
    if doc.get("version") != "1.1":
        yield f"version is {doc.get('version')!r} and not '1.1'"
    yield from _time(doc, "timestampUTC", "the document")
    aggregate = doc.get("aggregateStatus")
    if isinstance(aggregate, dict):
        yield from _aggregate(aggregate)
    os_info = doc.get("guestOSInfo")
    if isinstance(os_info, dict):
        yield from _texts(os_info, "computerName osName osVersion version", "guestOSInfo")
    for item in doc.get("supportedFeatures", []):
        yield from _texts(item, "Key Value", "supportedFeatures[]")


def _aggregate(aggregate: dict[str, Any]) -> Iterator[str]:
    yield from _members(
        aggregate, "aggregateStatus", required="guestAgentStatus handlerAggregateStatus",
        optional="vmArtifactsAggregateStatus",
    )  # fmt: skip
    agent = aggregate.get("guestAgentStatus")
    if isinstance(agent, dict):
        yield from _agent(agent)
    else:
        yield "guestAgentStatus is no object"
    handlers = aggregate.get("handlerAggregateStatus")
    if not isinstance(handlers, list):
        yield "handlerAggregateStatus is no array"
        handlers = []
    for handler in handlers:
        yield from _handler(handler)
    artifacts = aggregate.get("vmArtifactsAggregateStatus")
    if isinstance(artifacts, dict):
        yield from _goal(artifacts.get("goalStateAggregateStatus"))


def _agent(agent: dict[str, Any]) -> Iterator[str]:
    where = "guestAgentStatus"
    yield from _members(
        agent, where, required="version status formattedMessage", optional="updateStatus"
    )
    yield from _one_of(agent, "status", ("Ready", "NotReady"), where)
    yield from _message(agent, where)
    update = agent.get("updateStatus")
    if update is not None:
        yield from _members(
            update, "updateStatus", required="expectedVersion status code formattedMessage"
        )
        yield from _one_of(update, "status", ("Success", "Error", "Transitioning"), "updateStatus")
        yield from _message(update, "updateStatus")


def _handler(handler: Any) -> Iterator[str]:
    if not isinstance(handler, dict):
        yield "handlerAggregateStatus[] is no object"
        return
    where = f"handler {handler.get('handlerName')}"
    yield from _members(
        handler, where, required="handlerVersion handlerName status code useExactVersion",
        optional="formattedMessage runtimeSettingsStatus",
    )  # fmt: skip
    yield from _one_of(handler, "status", _HANDLER_STATES, where)
    yield from _number(handler, "code", where)
    if handler.get("useExactVersion") is not True:
        yield f"{where}: useExactVersion is not true"
    if "formattedMessage" in handler:
        yield from _message(handler, where)
    runtime = handler.get("runtimeSettingsStatus")
    if isinstance(runtime, dict):
        yield from _runtime(runtime, where)


def _runtime(runtime: dict[str, Any], where: str) -> Iterator[str]:
    yield from _members(
        runtime, where, required="settingsStatus sequenceNumber", optional="extensionName"
    )
    yield from _number(runtime, "sequenceNumber", where)
    settings = runtime.get("settingsStatus")
    if not isinstance(settings, dict):
        yield f"{where}: settingsStatus is no object"
        return
    yield from _members(settings, where, required="status version timestampUTC")
    yield from _number(settings, "version", where)
    yield from _time(settings, "timestampUTC", where)
    status = settings.get("status")
    if isinstance(status, dict):
        yield from _extension(status, where)


def _extension(status: dict[str, Any], where: str) -> Iterator[str]:
    yield from _members(
        status, where,
        required="name configurationAppliedTime operation status code formattedMessage",
        optional="substatus",
    )  # fmt: skip
    yield from _one_of(status, "status", _EXTENSION_STATES, where)
    yield from _message(status, where)
    for item in status.get("substatus", []):
        yield from _members(
            item, f"{where}: substatus", required="name status code formattedMessage"
        )
        yield from _one_of(item, "status", _EXTENSION_STATES, f"{where}: substatus")


def _goal(goal: Any) -> Iterator[str]:
    where = "goalStateAggregateStatus"
    if not isinstance(goal, dict):
        yield f"{where} is no object"
        return
    yield from _members(
        goal, where, required="formattedMessage timestampUTC inSvdSeqNo status code"
    )
    yield from _one_of(goal, "status", ("Success", "Failed"), where)
    yield from _time(goal, "timestampUTC", where)
    yield from _number(goal, "code", where)
    yield from _message(goal, where)


def _members(value: Any, where: str, *, required: str, optional: str = "") -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where} is no object"
        return
    for name in required.split():
        if name not in value:
            yield f"{where}: {name} is missing"
    for name in value:
        if name not in required.split() + optional.split():
            yield f"{where}: {name} is no known member"


def _one_of(value: dict[str, Any], name: str, known: tuple[str, ...], where: str) -> Iterator[str]:
    if value.get(name) not in known:
        yield f"{where}: {name} is {value.get(name)!r} and not one of {', '.join(known)}"


def _number(value: dict[str, Any], name: str, where: str) -> Iterator[str]:
    found = value.get(name)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        yield f"{where}: {name} is {found!r} and no number"


def _time(value: dict[str, Any], name: str, where: str) -> Iterator[str]:
    found = value.get(name)
    if not isinstance(found, str) or not _TIME.fullmatch(found):
        yield f"{where}: {name} is {found!r} and no UTC time in whole seconds"


def _texts(value: Any, names: str, where: str) -> Iterator[str]:
    yield from _members(value, where, required=names)
    for name in names.split():
        if isinstance(value, dict) and not isinstance(value.get(name, ""), str):
            yield f"{where}: {name} is no text"


def _message(value: dict[str, Any], where: str) -> Iterator[str]:
    message = value.get("formattedMessage")
    if not isinstance(message, dict) or set(message) != {"lang", "message"}:
        yield f"{where}: formattedMessage is not an object of lang and message"
    elif message["message"] is not None and not isinstance(message["message"], str):
        yield f"{where}: the message is no text"
