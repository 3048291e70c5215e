"""What the wire server expects of a posted body: health, telemetry, signals, role properties.

Each reader returns what it understood, or raises Refused with what is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Optional
from xml.etree import ElementTree as ET

from tests.fabric.exchange import Request, bad_request
from tests.fabric.model import Vm
from tests.fabric.world import HealthReport

MOST_TELEMETRY = 65536
MOST_DESCRIPTION = 4096
_TYPES = ("mt:wstr", "mt:uint64", "mt:float64", "mt:bool", "mt:int32", "mt:int64", "mt:uint32", "")
# What the parameters of an agent's operation events are (WIRE 8.5); null has the type "".
_AGENT_PROVIDER = "69B669B9-4AF8-4C50-BDC4-6006FA76E975"
_KNOWN = {
    "OperationSuccess": "mt:bool", "IsInternal": "mt:bool", "Duration": "mt:uint64",
    "EventTid": "mt:uint64", "EventPid": "mt:uint64", "RAM": "mt:uint64",
    "Processors": "mt:uint64", "ImageOrigin": "mt:uint64", "Value": "mt:float64",
    **dict.fromkeys(
        (
            "Name", "Version", "Operation", "Message", "GAVersion", "ContainerId", "OpcodeName",
            "TaskName", "ExtensionType", "OSVersion", "ExecutionMode", "KeywordName", "TenantName",
            "RoleName", "RoleInstanceName", "Location", "SubscriptionId", "ResourceGroupName",
            "VMId", "Category", "Counter", "Instance",
        ),
        "mt:wstr",
    ),
}  # fmt: skip
_GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_OBSERVATION_LIMITS = {"ObservationName": 64, "Description": 128, "Value": 128}


def read_xml(request: Request, root: str) -> ET.Element:
    """The body as XML with the expected root."""
    if b"<!DOCTYPE" in request.body:
        raise bad_request("the body has a DOCTYPE")
    try:
        found = ET.fromstring(request.body)
    except ET.ParseError as e:
        raise bad_request(f"the body is no XML: {e}") from None
    if found.tag != root:
        raise bad_request(f"the body's root is {found.tag} and not {root}")
    return found


def read_json(request: Request) -> Any:
    """The body as JSON."""
    try:
        return json.loads(request.body)
    except ValueError as e:
        raise bad_request(f"the body is no JSON: {e}") from None


def _text(node: ET.Element, path: str) -> str:
    found = node.find(path)
    if found is None:
        raise bad_request(f"{node.tag} has no {path}")
    return found.text or ""


def _only(node: ET.Element, *names: str) -> None:
    for child in node:
        if child.tag not in names:
            raise bad_request(f"{node.tag} holds an unknown element {child.tag}")


def _one(node: ET.Element, path: str) -> ET.Element:
    found = node.findall(path)
    if len(found) != 1:
        raise bad_request(f"{node.tag} has {len(found)} elements {path} and not one")
    return found[0]


def read_health(request: Request, vm: Vm) -> HealthReport:
    """A health report about this machine."""
    root = read_xml(request, "Health")
    _only(root, "GoalStateIncarnation", "Container")
    incarnation = _text(root, "GoalStateIncarnation")
    if not incarnation.isdigit() or not 1 <= int(incarnation) <= vm.incarnation:
        raise bad_request(f"no goal state had the incarnation {incarnation!r}")
    container = _one(root, "Container")
    _check_names(_text(container, "ContainerId"), vm)
    _only(container, "ContainerId", "RoleInstanceList")
    role = _one(container, "RoleInstanceList/Role")
    _only(role, "InstanceId", "Health")
    if _text(role, "InstanceId") != vm.identity.role_instance:
        raise bad_request(f"the InstanceId {_text(role, 'InstanceId')!r} is not the goal state's")
    return _read_state(_one(role, "Health"), incarnation)


def _read_state(health: ET.Element, incarnation: str) -> HealthReport:
    _only(health, "State", "Details")
    state = _text(health, "State")
    if state not in {"Ready", "NotReady"}:
        raise bad_request(f"the State is {state!r} and neither Ready nor NotReady")
    details = health.find("Details")
    if details is None:
        if state == "NotReady":
            raise bad_request("NotReady comes without Details")
        return HealthReport(incarnation, state)
    _only(details, "SubStatus", "Description")
    sub_status = _text(details, "SubStatus")
    if sub_status not in {"Provisioning", "ProvisioningFailed"}:
        raise bad_request(f"the SubStatus {sub_status!r} is unknown")
    description = _text(details, "Description")
    if len(description.encode()) > MOST_DESCRIPTION:
        raise bad_request("the Description is longer than 4096 bytes")
    return HealthReport(incarnation, state, sub_status, description)


def _check_names(container_id: str, vm: Vm) -> None:
    if container_id not in vm.containers:
        raise bad_request(
            f"the ContainerId {container_id!r} was never in a goal state",
            "InvalidContainerConfiguration",
        )


def read_role_properties(request: Request, vm: Vm) -> dict[str, str]:
    """Properties of the role, by name."""
    root = read_xml(request, "RoleProperties")
    container = _one(root, "Container")
    _check_names(_text(container, "ContainerId"), vm)
    instance = _one(container, "RoleInstances/RoleInstance")
    if _text(instance, "Id") != vm.identity.role_instance:
        raise bad_request(f"the Id {_text(instance, 'Id')!r} is not the goal state's InstanceId")
    found: dict[str, str] = {}
    for item in _one(instance, "Properties"):
        if item.tag != "Property" or set(item.attrib) != {"name", "value"}:
            raise bad_request("a role property is not a Property with name and value")
        found[item.attrib["name"]] = item.attrib["value"]
    return found


def read_telemetry(request: Request) -> list[dict[str, Any]]:
    """The events of a telemetry post, each with its provider, id, parameters and their types."""
    if len(request.body) > MOST_TELEMETRY:
        raise bad_request(f"telemetry of {len(request.body)} bytes passes 64 KiB", status=413)
    root = read_xml(request, "TelemetryData")
    if root.attrib != {"version": "1.0"}:
        raise bad_request(f"TelemetryData has the attributes {root.attrib}")
    events = list(_events(root))
    if not events:
        raise bad_request("telemetry without an event")
    return events


def _events(root: ET.Element) -> Iterator[dict[str, Any]]:
    for provider in root:
        name = provider.get("id", "")
        if provider.tag != "Provider" or not _GUID.fullmatch(name):
            raise bad_request(f"telemetry holds {provider.tag} {name!r} and no Provider")
        for event in provider:
            if event.tag != "Event" or not (event.get("id") or "").isdigit():
                raise bad_request(f"a Provider holds {event.tag} and no Event with a number")
            if len(event):
                raise bad_request("an Event's parameters are not inside CDATA")
            found = _parameters(event.text or "")
            if name.upper() == _AGENT_PROVIDER:
                _need_types(found["types"])
            yield {"provider": name, "id": event.get("id"), **found}


def _need_types(types: dict[str, str]) -> None:
    for name, kind in types.items():
        if kind and _KNOWN.get(name, kind) != kind:
            raise bad_request(f"the parameter {name} is of type {kind} and not {_KNOWN[name]}")


def _parameters(text: str) -> dict[str, Any]:
    try:
        root = ET.fromstring(f"<Params>{text}</Params>")
    except ET.ParseError as e:
        raise bad_request(f"an Event's text is no XML: {e}") from None
    params: dict[str, str] = {}
    types: dict[str, str] = {}
    for item in root:
        if item.tag != "Param" or set(item.attrib) != {"Name", "Value", "T"}:
            raise bad_request(f"an Event holds {item.tag} with {sorted(item.attrib)}")
        name, kind = item.attrib["Name"], item.attrib["T"]
        if name in params:
            raise bad_request(f"an Event has the parameter {name} twice")
        if kind not in _TYPES or not _fits(kind, item.attrib["Value"]):
            raise bad_request(f"the parameter {name} is {item.attrib['Value']!r} of type {kind!r}")
        params[name], types[name] = item.attrib["Value"], kind
    return {"params": params, "types": types}


def _fits(kind: str, value: str) -> bool:
    if kind == "mt:bool":
        return value in {"True", "False", "true", "false"}
    if kind in {"mt:uint64", "mt:uint32"}:
        return value.isdigit()
    if kind in {"mt:int64", "mt:int32", "mt:float64"}:
        try:
            float(value)
        except ValueError:
            return False
    return True


def read_observations(request: Request) -> list[dict[str, Any]]:
    """The observations of a HealthService post."""
    document = read_json(request)
    if not isinstance(document, dict) or set(document) != {
        "Api", "Version", "Source", "Observations",
    }:  # fmt: skip
        raise bad_request("a health signal is not an object of Api, Version, Source, Observations")
    if document["Api"] != "reporttargethealth" or document["Version"] != "1.0":
        raise bad_request("a health signal is not reporttargethealth 1.0")
    observations = document["Observations"]
    if not isinstance(observations, list) or not 1 <= len(observations) <= 10:
        raise bad_request("a health signal does not hold 1 to 10 observations")
    for item in observations:
        why = _observation_fault(item)
        if why:
            raise bad_request(why)
    return observations


def _observation_fault(item: Any) -> Optional[str]:
    if not isinstance(item, dict) or set(item) != {*_OBSERVATION_LIMITS, "IsHealthy"}:
        return "an observation is not an object of ObservationName, IsHealthy, Description, Value"
    if not isinstance(item["IsHealthy"], bool):
        return "IsHealthy is no boolean"
    for name, limit in _OBSERVATION_LIMITS.items():
        if not isinstance(item[name], str) or len(item[name]) > limit:
            return f"{name} is no text of at most {limit} characters"
    return None if item["ObservationName"] else "ObservationName is empty"
