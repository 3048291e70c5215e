"""The HostPlugin on port 32526: vmSettings, artifacts fetched by the host, status, logs."""

from __future__ import annotations

import base64
import binascii
import io
import zipfile
from typing import Any, Optional
from urllib.parse import urlsplit

from tests.fabric.checks import read_json
from tests.fabric.exchange import (
    Answer,
    Refused,
    Request,
    Route,
    bad_request,
    gone,
    need_content_type,
    need_header,
    need_method,
    need_no_body,
    need_uuid,
)
from tests.fabric.model import FAST_TRACK_OFF
from tests.fabric.storage import Storage
from tests.fabric.vmsettings import render_vm_settings
from tests.fabric.world import World

API = "2015-09-01"
JSON = "application/json; charset=utf-8"


class HostPlugin:
    """The plugin of the host that the machine runs on."""

    name = "hgap"

    def __init__(self, world: World, storage: Storage) -> None:
        self._world = world
        self._storage = storage

    def route(self, request: Request) -> Optional[Route]:
        """Who answers a request to the plugin."""
        routes = {
            "/versions": Route("hgap.versions", self._versions),
            "/health": Route("hgap.health", self._health),
            "/vmsettings": Route("hgap.vmsettings", self._vm_settings),
            "/extensionartifact": Route("hgap.extensionartifact", self._artifact),
            "/status": Route("hgap.status", self._status),
            "/vmagentlog": Route("hgap.vmagentlog", self._log),
        }
        return routes.get(request.path.lower())

    def _need_container(self, request: Request, *, config_name: bool = True) -> None:
        """Refuse a container or configuration that never was; what was once is gone."""
        vm = self._world.vm
        container = need_header(request, "x-ms-containerid")
        name = need_header(request, "x-ms-host-config-name") if config_name else vm.config_name
        if container not in vm.containers:
            raise bad_request(
                f"the container {container!r} was never in a goal state",
                "InvalidContainerConfiguration",
            )
        if name not in {vm.config_name, *vm.past_config_names}:
            raise bad_request(
                f"the configuration {name!r} was never in a goal state",
                "RequestRoleConfigFileNotFound",
            )
        if container != vm.container_id or name != vm.config_name:
            raise gone()

    def _versions(self, request: Request) -> Answer:
        need_method(request, "GET")
        container = request.header("x-ms-containerid")
        if container is not None and container not in self._world.vm.containers:
            request.complain(f"the container {container!r} was never in a goal state")
        return Answer(200, b'["2015-09-01"]', JSON)

    def _health(self, request: Request) -> Answer:
        need_method(request, "GET")
        return Answer(200)

    def _vm_settings(self, request: Request) -> Answer:
        need_method(request, "GET")
        need_header(request, "x-ms-version", (API,))
        need_uuid(request, "x-ms-client-correlationid")
        need_no_body(request)
        with self._world.lock:
            vm = self._world.vm
            self._need_container(request)
            if vm.fast_track == FAST_TRACK_OFF:
                return Answer(404, b"", JSON)
            tag = ("ETag", vm.etag)
            if request.header("If-None-Match") == vm.etag:
                return Answer(304, headers=(tag,))
            body = render_vm_settings(vm, self._world.addresses, self._world.sealer)
        return Answer(200, body, JSON, (tag,))

    def _artifact(self, request: Request) -> Answer:
        need_method(request, "GET")
        need_header(request, "x-ms-version", (API,))
        location = need_header(request, "x-ms-artifact-location")
        if not urlsplit(location).netloc:
            raise bad_request(f"the artifact location {location!r} is no URL")
        verify = request.header("x-ms-verify-from-artifacts-blob")
        if verify not in {None, "true", "false"}:
            request.complain(f"x-ms-verify-from-artifacts-blob is {verify!r} and no boolean")
        with self._world.lock:
            self._need_container(request)
        manifest = request.header("x-ms-artifact-manifest-location")
        if manifest is not None and not manifest.endswith("_manifest.xml"):
            request.complain(f"the manifest location {manifest!r} is no manifest")
        try:
            return self._storage.fetch(location)
        except Refused as e:
            raise Refused(Answer(502, e.answer.body), e.why) from None

    def _status(self, request: Request) -> Answer:
        need_method(request, "PUT")
        need_header(request, "x-ms-version", (API,))
        need_content_type(request, "application/json")
        with self._world.lock:
            self._need_container(request)
        inner = _inner_request(read_json(request))
        if urlsplit(inner.target).netloc != self._world.addresses.storage:
            raise bad_request(f"the requestUri {inner.target!r} is not the status blob's")
        parts = urlsplit(inner.target)
        target = f"{parts.path}?{parts.query}"
        put = Request("PUT", target, inner.headers, inner.body, request.complaints)
        route = self._storage.route(put)
        if route is None:
            raise bad_request(f"the requestUri {inner.target!r} is not the status blob's")
        return route.answer(put)

    def _log(self, request: Request) -> Answer:
        need_method(request, "PUT")
        need_header(request, "x-ms-version", (API,))
        need_uuid(request, "x-ms-client-correlationid")
        need_header(request, "x-ms-client-name")
        need_header(request, "x-ms-client-version")
        with self._world.lock:
            vm = self._world.vm
            need_header(request, "x-ms-vmagentlog-deploymentid", (vm.identity.deployment_id,))
            self._need_container(request, config_name=False)
            if not zipfile.is_zipfile(io.BytesIO(request.body)):
                raise bad_request("the log archive is no zip")
            self._world.received.logs.append(request.body)
        return Answer(200)


def _inner_request(document: Any) -> Request:
    """The PUT that the guest asks the host to make."""
    if not isinstance(document, dict) or not {"requestUri", "headers"} <= set(document):
        raise bad_request("a status upload is not an object of requestUri, headers and content")
    unknown = set(document) - {"requestUri", "headers", "content"}
    if unknown or not isinstance(document["headers"], list):
        raise bad_request(f"a status upload has unknown members {sorted(unknown)} or no headers")
    headers = []
    for item in document["headers"]:
        if not isinstance(item, dict) or set(item) != {"headerName", "headerValue"}:
            raise bad_request("a header is not an object of headerName and headerValue")
        if not isinstance(item["headerValue"], str):
            raise bad_request(f"the value of {item['headerName']} is no text")
        headers.append((str(item["headerName"]), item["headerValue"]))
    try:
        body = base64.b64decode(document.get("content", ""), validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise bad_request("the content is no base64") from None
    return Request("PUT", str(document["requestUri"]), tuple(headers), body)
