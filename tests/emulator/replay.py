"""Sends the recorded requests of a real agent to an emulator that goes through the same steps."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Mapping
from typing import Any, Callable, Optional
from xml.sax.saxutils import quoteattr

from tests.emulator.client import Client, Reply
from tests.fabric import Dependency, Extension, Fabric, JitUser, Settings
from tests.fabric.faults import NAMED, Fault

NAME = "Fabric.Test."
AGENT_VERSION = "2.15.0.1"
_BY_STATUS = {500: "BROKEN", 503: "UNAVAILABLE", 400: "BAD_REQUEST"}
_PLACEHOLDER = re.compile(r"\{([A-Z_]+?)(?:_(\d+))?\}")


def _second(fabric: Fabric) -> None:
    on = (Dependency(NAME + "Echo"),)
    settings = Settings(0, {"echo": "dependent"}, level=2, depends_on=on)
    fabric.portal.put_extension(Extension(NAME + "Second", "2.0.0", settings=(settings,)))


def _multi(fabric: Fabric) -> None:
    both = (Settings(0, {"echo": "a"}, name="one"), Settings(0, {"echo": "b"}, name="two"))
    fabric.portal.put_extension(Extension(NAME + "Multi", settings=both, multi_config=True))


def _multi_changed(fabric: Fabric) -> None:
    both = (
        Settings(1, {"echo": "a2"}, name="one"),
        Settings(0, {"echo": "b"}, name="two", state="disabled"),
    )
    fabric.portal.update_extension(NAME + "Multi", settings=both)


def _echo(public: Mapping[str, Any]) -> Callable[[Fabric], object]:
    return lambda fabric: fabric.portal.update_settings(NAME + "Echo", dict(public))


def _nothing_new(fabric: Fabric) -> None:
    fabric.platform.change()


# What the recorded fabric did to reach each revision of the goal state.
STEPS: dict[int, Callable[[Fabric], object]] = {
    2: lambda f: f.portal.update_settings(NAME + "Echo", {"echo": "second"}, {"secret": "s"}),
    3: _second,
    4: _echo({"echo": "bad", "exit": 5}),
    5: _echo({"echo": "good again"}),
    6: lambda f: f.portal.update_extension(NAME + "Echo", version="1.1.0"),
    7: _multi,
    8: _multi_changed,
    9: lambda f: f.portal.remove_extensions(NAME + "Second", NAME + "Multi"),
    10: lambda f: f.portal.drop_extensions(NAME + "Second", NAME + "Multi"),
    11: lambda f: f.portal.update_extension(NAME + "Echo", state="disabled"),
    12: lambda f: f.portal.update_extension(NAME + "Echo", state="enabled"),
    13: lambda f: f.platform.set_users([JitUser("jit1", "Secret.1")]),
    14: lambda f: f.platform.set_users([]),
    15: lambda f: f.platform.set_users(None),
    16: lambda f: f.platform.move_to_new_container(),
    17: lambda f: f.platform.change(blob_type="PageBlob"),
    18: lambda f: f.platform.change(blob_type="BlockBlob"),
    19: lambda f: f.platform.change(on_hold=True),
    20: lambda f: f.platform.change(on_hold=False),
    21: lambda f: f.platform.change(),
    22: lambda f: f.platform.set_fast_track("fast_track"),
    23: _echo({"echo": "faster"}),
    24: lambda f: f.platform.set_fast_track("off"),
    36: lambda f: f.portal.update_extension(NAME + "Echo", version="1.2.0"),
}


class Replay:
    """One agent's recorded life: its requests, and what it knows while it sends them."""

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self.client = Client(fabric)
        self._revision = 1
        self._knows = fabric.vm

    def play(self, record: Mapping[str, Any], upcoming: Optional[Mapping[str, Any]]) -> Reply:
        """Bring the fabric to where it was, send one request, return the answer."""
        self._advance(record)
        self._break(record)
        url = self._fill(record["url"])
        body = self._body(record, upcoming)
        headers = {name: self._fill(value) for name, value in record["headers"]}
        if "Content-Length" in headers:
            headers["Content-Length"] = str(len(body or b""))
        if record["endpoint"] == "storage.system" and record["method"] == "PUT":
            self._align(record, headers, body, upcoming)
        reply = self.client.send(record["method"], url, headers, body)
        if record["endpoint"] == "wire.goalstate" and reply.status == 200:
            self._knows = self.fabric.vm
        return reply

    def _advance(self, record: Mapping[str, Any]) -> None:
        asked = re.search(r"incarnation=(\d+)", record["url"])
        if asked:
            self._step_to(int(asked.group(1)))
        vm, answer = self.fabric.vm, record["answer"]
        if record["endpoint"] == "hgap.vmsettings":
            tag = dict(record["headers"]).get("if-none-match")
            if answer == 200 and vm.fast_track == "off":
                self._step_to(22)
            elif answer == 200 and tag == vm.etag:
                self._step_to(23)
            elif answer == 404 and vm.fast_track != "off":
                self._step_to(24)
        if record["endpoint"] == "hgap.status" and answer == 410:
            self.fabric.platform.change(
                new_incarnation=False, config_revision=vm.config_revision + 1
            )

    def _step_to(self, revision: int) -> None:
        if revision > self._revision:
            for number in range(self._revision + 1, revision + 1):
                STEPS.get(number, _nothing_new)(self.fabric)
            self._revision = revision
            self._knows = self.fabric.vm  # the recorded agent has seen the goal state already

    def _break(self, record: Mapping[str, Any]) -> None:
        broken = "fault" in record or record["answer"] == 503
        if broken:
            fault: Fault = NAMED[_BY_STATUS[record["answer"]]]
            self.fabric.fault(record["endpoint"], fault, count=1)

    # -- filling in

    def _fill(self, text: str) -> str:
        return _PLACEHOLDER.sub(lambda m: self._value(m.group(1), m.group(2)), text)

    def _value(self, name: str, number: Optional[str]) -> str:
        vm, now = self._knows, time.gmtime()
        one = vm.identity
        escaped = one.role_instance.replace("-", "%2D").replace("_", "%5F")
        container = vm.containers[-1] if number == "2" else vm.containers[0]
        values = {
            "AGENT_VERSION": AGENT_VERSION,
            "CONTAINER_ID": container,
            "CONFIG_NAME": vm.config_name,
            "INSTANCE_ID": escaped,
            "DEPLOYMENT_ID": one.deployment_id,
            "VM_ID": one.vm_id,
            "CORRELATION_ID": "0b9a8c7d-6e5f-4a3b-8c2d-1e0f9a8b7c6d",
            "TRANSPORT_CERT": base64.b64encode(self.client.transport.der).decode(),
            "THUMBPRINT": "A" * 40,
            "TIME": time.strftime("%Y-%m-%dT%H:%M:%SZ", now),
            "TIME_US": time.strftime("%Y-%m-%dT%H:%M:%S.000001Z", now),
            "LENGTH": "0",
            "NUMBER": "17",
            "SECONDS": "1.5",
            "MICROSECONDS": "1700000000000000",
            "GUID": one.subscription_id,
        }
        return values.get(name, f"{{{name}}}")

    def _body(
        self, record: Mapping[str, Any], upcoming: Optional[Mapping[str, Any]]
    ) -> Optional[bytes]:
        if record["endpoint"] == "hgap.status":
            return self._upload(record, upcoming)
        if "body_events" in record:
            return self._events(record["body_events"])
        if "body_json" in record:
            return self._fill(json.dumps(record["body_json"])).encode()
        if record["endpoint"] == "storage.system" and "body" in record:
            return _padded(self._fill(record["body"]).encode().rstrip(b"\0 "), b"\0")
        if "body" in record:
            text = self._fill(record["body"])
            return text.replace("%2D", "-").replace("%5F", "_").encode()
        return None

    def _events(self, events: Mapping[str, Any]) -> bytes:
        text = ""
        for event in events["events"]:
            params = "".join(
                f"<Param Name={quoteattr(n)} Value={quoteattr(self._fill(v))} T={_kind(n, v)} />"
                for n, v in {**events["common"], **event["params"]}.items()
            )
            text += (
                f'<Provider id="{event["provider"]}"><Event id="{event["id"]}">'
                f"<![CDATA[{params}]]></Event></Provider>"
            )
        return f'<?xml version="1.0"?><TelemetryData version="1.0">{text}</TelemetryData>'.encode()

    def _content(self, record: Optional[Mapping[str, Any]]) -> bytes:
        """The status document of a record, padded when the recorded one was for a page blob."""
        if record is None or "body_content" not in record:
            return b""
        content = self._fill(json.dumps(record["body_content"])).encode()
        names = {item["headerName"] for item in record["body_json"]["headers"]}
        return _padded(content, b" ") if "x-ms-range" in names else content

    def _upload(self, record: Mapping[str, Any], upcoming: Optional[Mapping[str, Any]]) -> bytes:
        upload: dict[str, Any] = json.loads(self._fill(json.dumps(record["body_json"])))
        content = self._content(record)
        if content:
            upload["content"] = base64.b64encode(content).decode()
        sizes = {
            "Content-Length": str(len(content)),
            "x-ms-blob-content-length": str(len(self._content(upcoming)) or 512),
            "x-ms-range": f"bytes=0-{len(content) - 1}",
        }
        for item in upload["headers"]:
            item["headerValue"] = sizes.get(item["headerName"], item["headerValue"])
        return json.dumps(upload, sort_keys=True).encode()

    def _align(
        self,
        record: Mapping[str, Any],
        headers: dict[str, str],
        body: Optional[bytes],
        upcoming: Optional[Mapping[str, Any]],
    ) -> None:
        """Sizes of a page blob that fit the text as it is filled in now."""
        if "x-ms-range" in headers:
            headers["x-ms-range"] = f"bytes=0-{len(body or b'') - 1}"
        elif headers.get("x-ms-blob-type") == "PageBlob" and upcoming is not None:
            headers["x-ms-blob-content-length"] = str(len(self._body(upcoming, None) or b""))


def _padded(content: bytes, filler: bytes) -> bytes:
    return content + filler * (-len(content) % 512)


def _kind(name: str, value: str) -> str:
    if value in {"True", "False"}:
        return '"mt:bool"'
    if name == "Value":
        return '"mt:float64"'
    return '"mt:uint64"' if value == "{NUMBER}" or name == "ImageOrigin" else '"mt:wstr"'
