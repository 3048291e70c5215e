"""Journal entries in the form of the recordings, and how one set of requests differs from another.

A record is one line of a recording: endpoint, method, url, headers, body, answer, with
placeholders for what differs from run to run. Facts are what is compared: a field's name and
value; order, repeats, lengths, times, identifiers and the choice of a mirror are not facts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

from tests.fabric.decoding import decode_body
from tests.fabric.journal import Entry
from tests.fabric.model import Vm

Record = Mapping[str, Any]
ABSENT = "(absent)"
_GUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_AGENT = re.compile(r"WALinuxAgent/([0-9][0-9.]*)")
_NUMBERS = ("Duration", "EventTid", "EventPid", "RAM", "Processors")
_TELEMETRY_VALUES = ("GAVersion", "ExecutionMode", "KeywordName", "IsInternal", "ExtensionType")
_MACHINE_FIELDS = ("osName", "osVersion", "computerName")

# Applied to a record that is being written, in this order.
_WHILE_RECORDING = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"), "{TIME_US}"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ(?!&sp=)"), "{TIME}"),
    (re.compile(r"\b[0-9A-F]{40}\b"), "{THUMBPRINT}"),
)
# Applied to both sides of a comparison.
_WHILE_COMPARING = (
    (re.compile(r"\{GUID_\d+\}|" + _GUID), "{GUID}"),
    (re.compile(r"\{CONTAINER_ID_\d+\}"), "{CONTAINER_ID}"),
    (re.compile(r"/(manifests|packages)\d/"), r"/\1{N}/"),
    (re.compile(r"incarnation=\d+"), "incarnation={N}"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "{SHA256}"),
    (re.compile(r"bytes=\d+-(\d+|\{LENGTH\})"), "bytes={N}-{N}"),
)


class Difference(NamedTuple):
    """One field of one endpoint where two agents do not send the same."""

    endpoint: str
    field: str
    theirs: str
    ours: str


def load(path: Path) -> list[dict[str, Any]]:
    """A recording, its machine and extensions renamed to those of this emulator."""
    text = path.read_text(encoding="utf-8").replace("oracle", "fabric").replace("Oracle", "Fabric")
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def export(entries: Iterable[Entry], vm: Vm) -> str:
    """Entries as the lines of a recording."""
    return "".join(json.dumps(record_of(entry, vm)) + "\n" for entry in entries)


def record_of(entry: Entry, vm: Vm) -> dict[str, Any]:
    """One entry with placeholders."""
    plain: dict[str, Any] = {
        "endpoint": entry.endpoint,
        "method": entry.method,
        "url": entry.url,
        "headers": [[name, _header(name, value)] for name, value in entry.headers],
        **decode_body(entry),
        "answer": entry.answer,
    }
    if entry.fault:
        plain["fault"] = entry.fault
    agent = _AGENT.search(entry.header("User-Agent") or "")
    text = json.dumps(plain)
    for value, placeholder in _known(vm, agent.group(1) if agent else ""):
        text = text.replace(json.dumps(value)[1:-1], placeholder)
    for pattern, placeholder in _WHILE_RECORDING:
        text = pattern.sub(placeholder, text)
    record: dict[str, Any] = json.loads(text)
    _hide_lengths(record)
    return record


def _known(vm: Vm, version: str) -> list[tuple[str, str]]:
    one = vm.identity
    escaped = one.role_instance.replace("-", "%2D").replace("_", "%5F")
    pairs = [(vm.config_name_of(n), "{CONFIG_NAME}") for n in range(1, vm.config_revision + 1)]
    pairs += [(one.role_instance, "{INSTANCE_ID}"), (escaped, "{INSTANCE_ID}")]
    pairs += [(one.deployment_id, "{DEPLOYMENT_ID}"), (one.vm_id, "{VM_ID}")]
    pairs += [(one.subscription_id, "{GUID_1}")]
    for number, container in enumerate(vm.containers, start=1):
        pairs.append((container, "{CONTAINER_ID}" if number == 1 else f"{{CONTAINER_ID_{number}}}"))
    return pairs + ([(version, "{AGENT_VERSION}")] if version else [])


def _header(name: str, value: str) -> str:
    placeholders = {
        "content-length": "{LENGTH}",
        "x-ms-guest-agent-public-x509-cert": "{TRANSPORT_CERT}",
        "x-ms-client-correlationid": "{CORRELATION_ID}",
    }
    return placeholders.get(name.lower(), value)


def _hide_lengths(record: dict[str, Any]) -> None:
    upload = record.get("body_json")
    for item in upload.get("headers", []) if isinstance(upload, dict) else []:
        if (
            item["headerName"].endswith(("Content-Length", "-length"))
            and item["headerValue"] != "0"
        ):
            item["headerValue"] = "{LENGTH}"
    events = record.get("body_events", {"common": {}, "events": []})
    for params in [events["common"], *(event["params"] for event in events["events"])]:
        params.update({name: "{NUMBER}" for name in _NUMBERS if name in params})


def normalise(record: Record) -> dict[str, frozenset[str]]:
    """The facts of one request: for each field the values it has, as text that shows the type."""
    url = _plain(record["url"])
    path, _, query = url.partition("?")
    facts: dict[str, set[str]] = {"method": {record["method"]}, "path": {path}}
    for part in query.split("&") if query else []:
        name, _, value = part.partition("=")
        facts.setdefault(f"query {name}", set()).add(value)
    for name, value in record["headers"]:
        facts.setdefault(f"header {name.lower()}", set()).add(
            f"{name}: {_header_fact(name, value)}"
        )
    facts["headers"] = {", ".join(name for name, _ in record["headers"])}
    for field, value in _body_facts(record):
        facts.setdefault(field, set()).add(value)
    return {field: frozenset(values) for field, values in facts.items()}


def _plain(text: str) -> str:
    for pattern, placeholder in _WHILE_COMPARING:
        text = pattern.sub(placeholder, text)
    return text


def _header_fact(name: str, value: str) -> str:
    if name.lower() in {"x-ms-blob-content-length", "if-none-match"}:
        return "{N}"
    return _plain(value)


def _body_facts(record: Record) -> Iterable[tuple[str, str]]:
    if "body" in record:
        yield from _text_facts(record["body"])
    if "body_json" in record:
        yield from _json_facts(record["body_json"], "json")
    if "body_content" in record:
        yield from _json_facts(record["body_content"], "status")
    if "body_zip" in record:
        yield from (("zip", name) for name in record["body_zip"])
    if "body_events" in record:
        yield from _event_facts(record["body_events"])


def _text_facts(text: str) -> Iterable[tuple[str, str]]:
    kept = text.rstrip("\0 ").strip()
    try:
        yield from _json_facts(json.loads(kept), "status")
        return
    except ValueError:
        pass
    try:
        yield from _xml_facts(ET.fromstring(kept.encode()), "xml")
    except ET.ParseError:
        yield "body", _plain(kept)


def _xml_facts(node: ET.Element, where: str) -> Iterable[tuple[str, str]]:
    path = f"{where} {node.tag}" if where == "xml" else f"{where}/{node.tag}"
    yield path, _plain((node.text or "").strip())
    yield from ((f"{path}@{name}", _plain(value)) for name, value in node.attrib.items())
    if len(node):
        yield f"{path} children", ", ".join(child.tag for child in node)
    for child in node:
        yield from _xml_facts(child, path)


def _json_facts(value: Any, where: str) -> Iterable[tuple[str, str]]:
    if isinstance(value, dict):
        yield f"{where} keys", ", ".join(value)
        for name, member in value.items():
            yield from _json_facts(member, f"{where}.{name}")
    elif isinstance(value, list):
        labels = [_label(item) for item in value]
        yield f"{where}[]", ", ".join(labels) if any(labels) else "(items)" if value else "(empty)"
        for label, item in zip(labels, value):
            yield from _json_facts(item, f"{where}[]<{label}>" if label else f"{where}[]")
    elif where.endswith(_MACHINE_FIELDS):
        yield where, f"({type(value).__name__})"
    else:
        yield where, _plain(json.dumps(value))


def _label(item: Any) -> str:
    """What tells an item of a list from the others, so that none passes for another."""
    if not isinstance(item, dict):
        return ""
    name = item.get("ObservationName") or item.get("headerName") or item.get("handlerName")
    config = item.get("runtimeSettingsStatus", {}).get("extensionName")
    return " ".join(filter(None, (name, config)))


def _event_facts(events: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for event in events["events"]:
        where = f"event {event['provider']}/{event['id']}"
        for name, value in {**events["common"], **event["params"]}.items():
            yield f"{where} {name}", _parameter_fact(name, value)


def _parameter_fact(name: str, value: str) -> str:
    if name in _TELEMETRY_VALUES:
        return _plain(value)
    if name in _NUMBERS or re.fullmatch(r"\{NUMBER\}|\d+", value):
        return "(number)"
    return "(boolean)" if value in {"True", "False"} else "(text)"


def differences(recorded: Iterable[Record], ours: Iterable[Record]) -> set[Difference]:
    """Every field of every endpoint whose set of values is not the same on both sides."""
    left, right = _by_endpoint(recorded), _by_endpoint(ours)
    found: set[Difference] = set()
    for endpoint in left.keys() | right.keys():
        if endpoint not in right or endpoint not in left:
            there = "requested" if endpoint in left else ABSENT
            found.add(Difference(endpoint, "*", there, ABSENT if endpoint in left else "requested"))
            continue
        theirs, mine = left[endpoint], right[endpoint]
        for field in theirs.keys() | mine.keys():
            a, b = theirs.get(field, {ABSENT}), mine.get(field, {ABSENT})
            if a != b:
                found.add(Difference(endpoint, field, _list(a), _list(b)))
    return found


def _list(values: Iterable[str]) -> str:
    return "; ".join(sorted(values))


def _by_endpoint(records: Iterable[Record]) -> dict[str, dict[str, set[str]]]:
    """Fields and values of all requests to an endpoint; a field that some lack is absent there."""
    gathered: dict[str, list[dict[str, frozenset[str]]]] = {}
    for record in records:
        endpoint = re.sub(r"^(storage\.[a-z]+)\d$", r"\1", record["endpoint"])
        key = f"{endpoint} {record['method']}" if endpoint == "storage.system" else endpoint
        gathered.setdefault(key, []).append(normalise(record))
    merged: dict[str, dict[str, set[str]]] = {}
    for endpoint, many in gathered.items():
        fields = {field for facts in many for field in facts}
        merged[endpoint] = {
            field: {v for facts in many for v in facts.get(field, {ABSENT})} for field in fields
        }
    return merged
