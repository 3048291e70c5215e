"""What happens between guest and fabric, told as it happens: one sentence for each new thing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any, Callable, Optional
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from tests.fabric.decoding import decode_body
from tests.fabric.journal import Entry

_FETCHED = {
    "wire.versions": "asks which protocol versions the wire server speaks",
    "wire.goalstate": "fetches the goal state",
    "wire.extensionsconfig": "fetches the extensions config",
    "wire.hostingenvironmentconfig": "fetches the hosting environment",
    "wire.sharedconfig": "fetches the shared config",
    "wire.certificates": "fetches certificates, sealed for its transport certificate",
    "wire.remoteaccess": "fetches the just-in-time users",
    "hgap.versions": "asks the HostPlugin for its versions",
    "hgap.health": "asks whether the HostPlugin is alive",
    "hgap.vmsettings": "asks the HostPlugin for vmSettings",
    "hgap.vmagentlog": "uploads its logs",
    "imds.instance": "reads the instance metadata",
    "imds.instance_compute": "reads the compute metadata",
}


class Story:
    """Says each thing once, and again only when it has changed."""

    def __init__(self, say: Callable[[dict[str, Any]], None]) -> None:
        self._say = say
        self._said: dict[str, str] = {}
        self._lock = threading.Lock()

    def __call__(self, entry: Entry) -> None:
        """Tell what is new in a request."""
        with self._lock:
            for topic, text in _events(entry):
                if self._said.get(topic) != text:
                    self._said[topic] = text
                    self._say({"time": entry.time, "event": topic, "text": text})


def _events(entry: Entry) -> Iterator[tuple[str, str]]:
    for complaint in entry.complaints:
        yield f"violation #{entry.number}", f"{entry.method} {_short(entry)}: {complaint}"
    if entry.fault:
        yield f"fault {entry.endpoint}", f"{entry.fault} strikes {entry.method} {_short(entry)}"
        return
    if entry.answer >= 400 and not entry.complaints:
        text = f"The fabric answers {entry.answer} to {_short(entry)}"
        yield f"{entry.endpoint} answer", text
        return
    if entry.endpoint in _FETCHED:
        yield entry.endpoint, f"The guest {_FETCHED[entry.endpoint]}"
    elif entry.endpoint == "wire.health":
        yield from _health(entry)
    elif entry.endpoint == "hgap.extensionartifact":
        where = urlsplit(entry.header("x-ms-artifact-location") or "").path
        yield "artifact", f"The guest downloads {where} through the host"
    elif entry.endpoint.startswith(("storage.manifests", "storage.packages")):
        yield "download", f"The guest downloads {urlsplit(entry.url).path}"
    elif entry.endpoint in {"hgap.status", "storage.system"}:
        yield from _status(entry)


def _short(entry: Entry) -> str:
    return f"{entry.endpoint} {urlsplit(entry.url).path}"


def _health(entry: Entry) -> Iterator[tuple[str, str]]:
    try:
        root = ET.fromstring(entry.body)
    except ET.ParseError:
        return
    state, description = root.findtext(".//State"), root.findtext(".//Description")
    yield "health", f"The guest reports {state}" + (f": {description}" if description else "")


def _status(entry: Entry) -> Iterator[tuple[str, str]]:
    decoded = decode_body(entry)
    document: Optional[Any] = decoded.get("body_content")
    if document is None and "body" in decoded:
        try:
            document = json.loads(decoded["body"].rstrip("\0 "))
        except ValueError:
            return
    if not isinstance(document, dict):
        return
    aggregate = document.get("aggregateStatus", {})
    yield "agent", f"The agent is {aggregate.get('guestAgentStatus', {}).get('status')}"
    for item in aggregate.get("handlerAggregateStatus", []):
        runtime = item.get("runtimeSettingsStatus", {})
        status = runtime.get("settingsStatus", {}).get("status", {})
        name = " ".join(filter(None, (item.get("handlerName"), runtime.get("extensionName"))))
        text = f"{name} {item.get('handlerVersion')} is {item.get('status')}"
        if status:
            message = (status.get("formattedMessage") or {}).get("message")
            text += f", settings {runtime.get('sequenceNumber')} {status.get('status')}: {message}"
        yield f"extension {name}", text
