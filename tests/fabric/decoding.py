"""What is inside a request's body, in the form of the recordings."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from typing import Any
from xml.etree import ElementTree as ET

from tests.fabric.journal import Entry

LONGEST_TEXT = 100


def decode_body(entry: Entry) -> dict[str, Any]:
    """The members that a recording has for this body; none for an empty one."""
    if not entry.body:
        return {}
    decoders = {
        "hgap.status": _status_upload,
        "wire.telemetry": _telemetry,
        "hgap.vmagentlog": _archive,
        "wire.healthservice": _json,
        "wire.provisioninghealth": _json,
    }
    try:
        return decoders.get(entry.endpoint, _text)(entry.body)
    except (ValueError, KeyError, TypeError, ET.ParseError, zipfile.BadZipFile):
        return _text(entry.body)


def _text(body: bytes) -> dict[str, Any]:
    return {"body": body.decode("utf-8", "backslashreplace")}


def _json(body: bytes) -> dict[str, Any]:
    return {"body_json": json.loads(body)}


def _archive(body: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(body)) as bundle:
        return {"body_zip": sorted(bundle.namelist())}


def _status_upload(body: bytes) -> dict[str, Any]:
    upload = json.loads(body)
    if "content" not in upload:
        return {"body_json": upload}
    content = base64.b64decode(upload["content"])
    kept = content.rstrip(b" \0")
    return {
        "body_padding": len(content) - len(kept),
        "body_content": json.loads(kept),
        "body_json": {**upload, "content": "{BASE64 of body_content}"},
    }


def _telemetry(body: bytes) -> dict[str, Any]:
    events: list[dict[str, Any]] = []
    for provider in ET.fromstring(body):
        for event in provider:
            params = {
                item.attrib["Name"]: _cut(item.attrib["Value"])
                for item in ET.fromstring(f"<Params>{event.text or ''}</Params>")
            }
            events.append({"provider": provider.get("id"), "id": event.get("id"), "params": params})
    shared: dict[str, str] = dict(events[0]["params"]) if events else {}
    for one in events[1:]:
        shared = {k: v for k, v in shared.items() if one["params"].get(k) == v}
    for one in events:
        one["params"] = {k: v for k, v in one["params"].items() if k not in shared}
    return {"body_events": {"common": shared, "events": events}}


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "{...}"
