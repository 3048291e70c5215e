"""The instance metadata service."""

from __future__ import annotations

import json
from typing import Any, Optional

from tests.fabric.exchange import Answer, Request, Route, bad_request, need_method
from tests.fabric.model import Vm
from tests.fabric.world import World

API_VERSIONS = (
    "2017-04-02", "2017-08-01", "2017-12-01", "2018-02-01", "2018-04-02", "2018-10-01",
    "2019-02-01", "2019-03-11", "2019-06-01", "2019-08-01", "2019-11-01", "2020-06-01",
    "2020-09-01", "2020-12-01", "2021-01-01", "2021-02-01", "2021-08-01", "2021-11-01",
    "2021-12-13", "2023-07-01", "2023-11-15",
)  # fmt: skip
JSON = "application/json; charset=utf-8"


class Imds:
    """169.254.169.254."""

    name = "imds"

    def __init__(self, world: World) -> None:
        self._world = world

    def route(self, request: Request) -> Optional[Route]:
        """Who answers a request for metadata."""
        parts = request.path.strip("/").split("/")
        if parts[0] != "metadata" or len(parts) < 2:
            return None
        return Route("imds." + "_".join(parts[1:]), self._answer)

    def _answer(self, request: Request) -> Answer:
        need_method(request, "GET")
        if (request.header("Metadata") or "").lower() != "true":
            raise bad_request("the header Metadata: true is missing")
        if request.header("X-Forwarded-For") is not None:
            raise bad_request("the request was forwarded")
        version = request.argument("api-version")
        if version not in API_VERSIONS:
            raise bad_request(f"the api-version {version!r} is unknown")
        with self._world.lock:
            document: Any = {"instance": render_instance(self._world.vm)}
        for part in request.path.strip("/").split("/")[1:]:
            document = _member(document, part)
            if document is None:
                raise bad_request(f"there is no metadata at {request.path}", "NotFound", 404)
        if not isinstance(document, (dict, list)):
            if request.argument("format") != "text":
                raise bad_request("a single value needs format=text")
            return Answer(200, str(document).encode(), "text/plain; charset=utf-8")
        return Answer(200, json.dumps(document).encode(), JSON)


def _member(document: Any, name: str) -> Any:
    if isinstance(document, dict):
        return document.get(name)
    if isinstance(document, list) and name.isdigit() and int(name) < len(document):
        return document[int(name)]
    return None


def render_instance(vm: Vm) -> dict[str, Any]:
    """The whole instance document."""
    one = vm.identity
    compute = {
        "azEnvironment": "AzurePublicCloud",
        "location": one.location,
        "name": one.name,
        "offer": one.offer,
        "osType": "Linux",
        "placementGroupId": "",
        "platformFaultDomain": "0",
        "platformUpdateDomain": "0",
        "publicKeys": [],
        "publisher": one.publisher,
        "resourceGroupName": one.resource_group,
        "sku": one.sku,
        "subscriptionId": one.subscription_id,
        "tags": "",
        "version": one.image_version,
        "vmId": one.vm_id,
        "vmScaleSetName": "",
        "vmSize": one.vm_size,
        "zone": "",
    }
    address = {"privateIpAddress": one.private_ip, "publicIpAddress": ""}
    subnet = {"address": one.private_ip.rpartition(".")[0] + ".0", "prefix": "24"}
    interface = {
        "ipv4": {"ipAddress": [address], "subnet": [subnet]},
        "ipv6": {"ipAddress": []},
        "macAddress": one.mac_address,
    }
    return {"compute": compute, "network": {"interface": [interface]}}
