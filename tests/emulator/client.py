"""A bare HTTP client that finds the fabric's real ports; it knows nothing of any agent."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from tests.fabric import Fabric
from tests.fabric.certificates import StoredCertificate, issue

WIRE = "http://168.63.129.16:80"
PLUGIN = "http://168.63.129.16:32526"
IMDS = "http://169.254.169.254"
PLAIN = {"x-ms-version": "2012-11-30", "x-ms-agent-name": "Test"}
XML_POST = {**PLAIN, "Content-Type": "text/xml;charset=utf-8"}
HEALTH = (
    "<Health><GoalStateIncarnation>{incarnation}</GoalStateIncarnation><Container>"
    "<ContainerId>{container}</ContainerId><RoleInstanceList><Role><InstanceId>{instance}"
    "</InstanceId><Health><State>{state}</State>{details}</Health></Role></RoleInstanceList>"
    "</Container></Health>"
)
DETAILS = "<Details><SubStatus>{}</SubStatus><Description>{}</Description></Details>"


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def xml(self) -> ET.Element:
        """The body as XML."""
        return ET.fromstring(self.body)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@functools.lru_cache(maxsize=1)
def transport_certificate() -> StoredCertificate:
    """The certificate with which this client asks for secrets."""
    return issue("Transport", "LinuxTransport")


class Client:
    """Requests to one fabric."""

    def __init__(self, fabric: Fabric, timeout_s: float = 10.0) -> None:
        self.fabric = fabric
        self.timeout_s = timeout_s
        self.transport = transport_certificate()

    def send(
        self,
        method: str,
        url: str,
        headers: Optional[Mapping[str, str]] = None,
        body: Optional[bytes] = None,
    ) -> Reply:
        """One request on a connection of its own."""
        parts = urlsplit(url)
        port = parts.port or 80
        real = self.fabric.address_book[f"{parts.hostname}:{port}"]
        target = parts.path + ("?" + parts.query if parts.query else "")
        usual = {"Host": parts.netloc, "Accept-Encoding": "identity", "Connection": "close"}
        if body is not None or method != "GET":
            usual["Content-Length"] = str(len(body or b""))
        given = dict(headers or {})
        ordered = {**{n: v for n, v in usual.items() if n not in given}, **given}
        connection = http.client.HTTPConnection(*real, timeout=self.timeout_s)
        with contextlib.closing(connection):
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in ordered.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())

    def get(self, url: str, **headers: str) -> Reply:
        """A GET with the wire server's plain headers."""
        return self.send(
            "GET", url, {**PLAIN, **{k.replace("_", "-"): v for k, v in headers.items()}}
        )

    def goal_state(self) -> ET.Element:
        """The goal state."""
        return self.get(f"{WIRE}/machine/?comp=goalstate").xml

    def document(self, element: str, **headers: str) -> Reply:
        """The document to which an element of the goal state points."""
        url = self.goal_state().findtext(f".//{element}")
        if url is None:
            raise AssertionError(f"the goal state has no {element}")
        return self.get(url, **headers)

    def secret_headers(self, cipher: str = "AES128_CBC") -> dict[str, str]:
        """The headers of a request whose answer is encrypted."""
        return {
            **PLAIN,
            "x-ms-guest-agent-public-x509-cert": base64.b64encode(self.transport.der).decode(),
            "x-ms-cipher-name": cipher,
        }

    def plugin_headers(self, **more: str) -> dict[str, str]:
        """The headers of a request to the HostPlugin."""
        return {
            "x-ms-version": "2015-09-01",
            "x-ms-containerid": self.fabric.vm.container_id,
            "x-ms-host-config-name": self.fabric.vm.config_name,
            **more,
        }

    def vm_settings(self, **more: str) -> Reply:
        """The HostPlugin's vmSettings."""
        one = {"x-ms-client-correlationid": "3d2c1b0a-9f8e-4d7c-8b6a-594837261504"}
        return self.send("GET", f"{PLUGIN}/vmSettings", {**self.plugin_headers(), **one, **more})

    def health(self, state: str, details: str = "", **facts: str) -> Reply:
        """A health report."""
        known = {
            "incarnation": str(self.fabric.vm.incarnation),
            "container": self.fabric.vm.container_id,
            "instance": self.fabric.vm.identity.role_instance,
        }
        text = HEALTH.format(state=state, details=details, **{**known, **facts})
        return self.send("POST", f"{WIRE}/machine?comp=health", XML_POST, text.encode())
