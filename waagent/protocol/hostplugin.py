"""The HostPlugin's requests, one method each; the host's own way to storage for us.

Source: spec WIRE 2.4, 4.1, 6. No proxy, ever.
"""

from __future__ import annotations

import base64
import json
import uuid
from typing import BinaryIO, Optional

from waagent.core.http import Request, Response
from waagent.core.records import dataclass
from waagent.core.version import AGENT_NAME, AGENT_VERSION
from waagent.protocol import exchange
from waagent.protocol.exchange import HOST_PLUGIN_PORT, Exchange
from waagent.protocol.storage import BlobRequest

API_VERSION = "2015-09-01"
LOG_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class HostIdentity:
    """Who we are to the host: changes when the VM moves, without a new incarnation."""

    container_id: str
    config_name: str

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The two headers of almost every request."""
        return (
            ("x-ms-containerid", self.container_id),
            ("x-ms-host-config-name", self.config_name),
        )

    @property
    def deployment_id(self) -> str:
        """The part of the configuration's name that says which deployment we belong to."""
        return self.config_name.partition(".")[0]


class HostPlugin:
    """A client of one host's plugin; holds an address and no state."""

    def __init__(self, exchange: Exchange, endpoint: str) -> None:
        self._exchange = exchange
        self._base = f"http://{endpoint}:{HOST_PLUGIN_PORT}"

    @property
    def artifact_url(self) -> str:
        """Where artifacts are asked for; also names the fetch in health reports."""
        return f"{self._base}/extensionArtifact"

    def fetch_versions(self, identity: HostIdentity) -> Response:
        """The API versions of the plugin; raises as ``Exchange.send``."""
        headers = (("x-ms-containerid", identity.container_id),)
        return self._exchange.send(Request("GET", f"{self._base}/versions", headers))

    def fetch_health(self) -> Response:
        """Whether the plugin is well; one attempt."""
        return self._exchange.send(Request("GET", f"{self._base}/health"), policy=exchange.ONE)

    def fetch_vm_settings(
        self, identity: HostIdentity, correlation_id: str, etag: Optional[str]
    ) -> Response:
        """The fast-track goal state: one attempt, whatever the status (spec WIRE 4.1)."""
        headers: tuple[tuple[str, str], ...] = (
            ("x-ms-version", API_VERSION),
            *identity.headers,
            ("x-ms-client-correlationid", correlation_id),
        )
        if etag is not None:
            headers = (*headers, ("if-none-match", etag))
        return self._exchange.send_once(Request("GET", f"{self._base}/vmSettings", headers))

    def fetch_artifact(
        self,
        identity: HostIdentity,
        url: str,
        *,
        manifest_url: Optional[str] = None,
        verify: bool = False,
        sink: Optional[BinaryIO] = None,
    ) -> Response:
        """What the host fetches from storage for us: into the sink (a package), or as a body."""
        headers: tuple[tuple[str, str], ...] = (
            ("x-ms-version", API_VERSION),
            *identity.headers,
            ("x-ms-artifact-location", url),
        )
        if verify:
            headers = (*headers, ("x-ms-verify-from-artifacts-blob", "true"))
        if manifest_url is not None:
            headers = (*headers, ("x-ms-artifact-manifest-location", manifest_url))
        again = exchange.AGAIN if sink is not None else exchange.AGAIN_WITH_400
        return self._exchange.send(
            Request("GET", self.artifact_url, headers), again=again, sink=sink
        )

    def put_status(self, identity: HostIdentity, blob: BlobRequest) -> Response:
        """Have the host send one PUT to storage."""
        document: dict[str, object] = {
            "headers": [{"headerName": name, "headerValue": value} for name, value in blob.headers],
            "requestUri": blob.url,
        }
        if blob.body is not None:
            document["content"] = base64.b64encode(blob.body).decode("ascii")
        headers = (
            ("x-ms-version", API_VERSION),
            ("Content-type", "application/json"),
            *identity.headers,
        )
        body = json.dumps(document, sort_keys=True).encode("ascii")
        return self._exchange.send(Request("PUT", f"{self._base}/status", headers, body))

    def put_log(self, identity: HostIdentity, archive: bytes) -> Response:
        """Hand the host a zip of logs; it has more time than other requests (WIRE 6.5)."""
        headers = (
            ("x-ms-version", API_VERSION),
            ("x-ms-containerid", identity.container_id),
            ("x-ms-vmagentlog-deploymentid", identity.deployment_id),
            ("x-ms-client-name", AGENT_NAME),
            ("x-ms-client-version", AGENT_VERSION),
            ("x-ms-client-correlationid", str(uuid.uuid4())),
        )
        return self._exchange.send(
            Request("PUT", f"{self._base}/vmAgentLog", headers, archive, timeout_s=LOG_TIMEOUT_S)
        )
