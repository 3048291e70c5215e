"""The wire server: versions, the goal state and its documents, and what is posted to it."""

from __future__ import annotations

import base64
import binascii
import time
from collections import deque
from typing import Optional
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fabric import documents
from tests.fabric.addresses import document_target
from tests.fabric.certificates import AES, DES, PKCS1, envelope, pfx
from tests.fabric.checks import (
    read_health,
    read_json,
    read_observations,
    read_role_properties,
    read_telemetry,
)
from tests.fabric.exchange import (
    Answer,
    Request,
    Route,
    bad_request,
    gone,
    need_content_type,
    need_header,
    need_method,
    need_no_body,
)
from tests.fabric.model import Vm
from tests.fabric.sealing import seal_password
from tests.fabric.world import HealthReport, World

XML = "text/xml; charset=utf-8"
DOCUMENTS = ("hostingEnvironmentConfig", "sharedConfig", "extensionsConfig", "fullConfig")
_WINDOW_S = 15.0


class WireServer:
    """Port 80 of the platform's address."""

    name = "wire"

    def __init__(self, world: World) -> None:
        self._world = world
        self._telemetry_times: deque[float] = deque()

    def route(self, request: Request) -> Optional[Route]:
        """Who answers a request to the wire server."""
        path = request.path.rstrip("/")
        comp = (request.argument("comp") or "").lower()
        fixed: dict[tuple[str, str], Route] = {
            ("", "versions"): Route("wire.versions", self._versions),
            ("/machine", "goalstate"): Route("wire.goalstate", self._goal_state),
            ("/machine", "health"): Route("wire.health", self._health),
            ("/machine", "roleproperties"): Route("wire.roleproperties", self._role_properties),
            ("/machine", "telemetrydata"): Route("wire.telemetry", self._telemetry),
            ("/HealthService", ""): Route("wire.healthservice", self._health_service),
            ("/provisioning/health", ""): Route("wire.provisioninghealth", self._new_health),
        }
        if (path, comp) in fixed:
            return fixed[path, comp]
        if not path.startswith("/machine/"):
            return None
        return self._document_route(request, comp)

    def _document_route(self, request: Request, comp: str) -> Optional[Route]:
        if comp == "certificates":
            return Route("wire.certificates", self._certificates)
        if comp == "remoteaccessinfo":
            return Route("wire.remoteaccess", self._remote_access)
        kind = request.argument("type") or ""
        known = next((k for k in DOCUMENTS if k.lower() == kind.lower()), None)
        if comp != "config" or known is None:
            return None
        name = known

        def answer(asked: Request) -> Answer:
            return self._config(asked, name)

        return Route(f"wire.{known.lower()}", answer)

    # -- what is fetched

    def _versions(self, request: Request) -> Answer:
        need_method(request, "GET")
        return Answer(200, documents.render_versions(), XML)

    def _goal_state(self, request: Request) -> Answer:
        self._need_plain_get(request)
        with self._world.lock:
            body = documents.render_goal_state(self._world.vm, self._world.addresses)
        return Answer(200, body, XML)

    def _need_plain_get(self, request: Request) -> None:
        need_method(request, "GET")
        need_header(request, "x-ms-version", documents.SUPPORTED)
        need_no_body(request)

    def _config(self, request: Request, kind: str) -> Answer:
        self._need_plain_get(request)
        with self._world.lock:
            vm = self._world.vm
            _need_current(request, vm, kind)
            return Answer(200, self._render(kind, vm), XML)

    def _render(self, kind: str, vm: Vm) -> bytes:
        sealer = self._world.sealer
        if kind == "extensionsConfig":
            return documents.render_extensions_config(vm, self._world.addresses, sealer)
        if kind == "hostingEnvironmentConfig":
            thumbprints = [c.thumbprint for c in sealer.certificates]
            return documents.render_hosting_environment(vm, thumbprints)
        if kind == "sharedConfig":
            return documents.render_shared_config(vm)
        return documents.render_full_config(vm)

    def _certificates(self, request: Request) -> Answer:
        self._need_plain_get(request)
        with self._world.lock:
            vm = self._world.vm
            _need_current(request, vm, "certificates")
            recipient, cipher = read_recipient(request)
            transport = self._world.transport.get(cipher, PKCS1)
            content = pfx(self._world.sealer.certificates)
        sealed = envelope(content, recipient, cipher, transport=transport)
        return Answer(200, documents.render_certificates(vm, sealed), XML)

    def _remote_access(self, request: Request) -> Answer:
        self._need_plain_get(request)
        with self._world.lock:
            vm = self._world.vm
            _need_current(request, vm, "remoteAccessInfo")
            if vm.users is None:
                raise gone()
            recipient, cipher = read_recipient(request)
            transport = self._world.transport.get(cipher, PKCS1)
            sealed = [seal_password(u.password, recipient, cipher, transport) for u in vm.users]
            return Answer(200, documents.render_remote_access(vm, sealed), XML)

    # -- what is posted

    def _need_xml_post(self, request: Request) -> None:
        need_method(request, "POST")
        need_header(request, "x-ms-version", documents.SUPPORTED)
        need_content_type(request, "text/xml")

    def _health(self, request: Request) -> Answer:
        self._need_xml_post(request)
        with self._world.lock:
            report = read_health(request, self._world.vm)
            self._world.received.health.append(report)
            newest = str(self._world.vm.incarnation)
        return Answer(200, headers=(("x-ms-latest-goal-state-incarnation-number", newest),))

    def _new_health(self, request: Request) -> Answer:
        need_method(request, "POST")
        need_header(request, "x-ms-guest-agent-name")
        need_content_type(request, "application/json")
        document = read_json(request)
        details = document.get("details", {}) if isinstance(document, dict) else None
        if not isinstance(details, dict) or document.get("state") not in {"Ready", "NotReady"}:
            raise bad_request("a provisioning report is not an object of state and details")
        report = HealthReport(
            "", document["state"], details.get("subStatus"), details.get("description")
        )
        with self._world.lock:
            self._world.received.health.append(report)
        return Answer(200)

    def _role_properties(self, request: Request) -> Answer:
        self._need_xml_post(request)
        with self._world.lock:
            found = read_role_properties(request, self._world.vm)
            self._world.received.role_properties.append(found)
        return Answer(202)

    def _telemetry(self, request: Request) -> Answer:
        self._need_xml_post(request)
        events = read_telemetry(request)
        with self._world.lock:
            if self._is_throttled():
                return Answer(429, b"Too many requests", headers=(("Retry-After", "15"),))
            self._world.received.events.extend(events)
        return Answer(200)

    def _is_throttled(self) -> bool:
        limit = self._world.telemetry_limit
        now = time.monotonic()
        while self._telemetry_times and now - self._telemetry_times[0] > _WINDOW_S:
            self._telemetry_times.popleft()
        if limit is not None and len(self._telemetry_times) >= limit:
            return True
        self._telemetry_times.append(now)
        return False

    def _health_service(self, request: Request) -> Answer:
        need_method(request, "POST")
        need_content_type(request, "application/json")
        observations = read_observations(request)
        with self._world.lock:
            self._world.received.observations.extend(observations)
        return Answer(200)


def read_recipient(request: Request) -> tuple[x509.Certificate, str]:
    """The transport certificate and the cipher that a request for secrets names."""
    text = need_header(request, "x-ms-guest-agent-public-x509-cert")
    cipher = request.header("x-ms-cipher-name") or DES
    if cipher not in {AES, DES}:
        raise bad_request(f"the cipher {cipher!r} is unknown")
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as e:
        raise bad_request(f"the transport certificate cannot be read: {e}") from None
    if not isinstance(certificate.public_key(), rsa.RSAPublicKey):
        raise bad_request("the transport certificate's key is not RSA")
    try:
        certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        raise bad_request("the transport certificate has no subject key identifier") from None
    return certificate, cipher


def _need_current(request: Request, vm: Vm, kind: str) -> None:
    """Refuse a document's URL that no goal state gave out; one of the past is simply gone."""
    wanted = document_target(vm, kind)
    if request.target == wanted:
        return
    parts = unquote(request.path).strip("/").split("/")
    if len(parts) != 3 or parts[2] != vm.identity.role_instance:
        raise bad_request("the URL names another role instance")
    if parts[1] not in vm.containers:
        raise bad_request(
            f"the container {parts[1]!r} was never in a goal state", "InvalidContainerConfiguration"
        )
    incarnation = request.argument("incarnation") or ""
    if not incarnation.isdigit() or not 1 <= int(incarnation) <= vm.incarnation:
        raise bad_request(f"no goal state had the incarnation {incarnation!r}")
    if parts[1] != vm.container_id or int(incarnation) != vm.incarnation:
        raise gone()
    if unquote(request.target).lower() != unquote(wanted).lower():
        raise bad_request("the URL is not one of the goal state's")
    request.complain("the URL was not used as the goal state gives it, letter by letter")
