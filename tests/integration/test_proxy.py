"""A proxy is for storage alone: the real child asks the platform itself, whoever names a proxy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fabric import ECHO, Fabric
from tests.outages.package import QUICKLY
from tests.outages.real import RealChild, Relay

FROM_CONF, FROM_ENVIRONMENT = "waagent.conf", "the environment"
PLATFORM = {
    "wire.goalstate",
    "wire.certificates",
    "wire.healthservice",
    "hgap.vmsettings",
    "hgap.versions",
    "hgap.health",
    "hgap.status",
    "imds.instance",
}
ABSOLUTE = re.compile(rb"\A([A-Z]+) http://([^/ ]+)(/\S*) HTTP/1.1\r\n")


class Proxy(Relay):
    """Passes requests on as a proxy does; remembers for which host and port they were."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.asked_for: list[str] = []
        super().__init__(target)

    def outgoing(self, data: bytes) -> bytes:
        """The request as the server wants it."""
        line = ABSOLUTE.match(data)
        if line is None:
            return data  # the body of one
        self.asked_for.append(line[2].decode())
        return b"%b %b HTTP/1.1\r\n" % (line[1], line[3]) + data[line.end() :]


@pytest.mark.parametrize("source", [FROM_CONF, FROM_ENVIRONMENT])
def test_proxy_is_asked_for_storage_and_never_for_the_platform(
    fabric: Fabric, tmp_path: Path, source: str
) -> None:
    """The port is named, always."""
    storage = fabric.world.addresses.storage
    proxy = Proxy(fabric.address_book[f"{storage}:80"])
    host, port = proxy.address
    conf, environment = QUICKLY, {"no_proxy": ""}
    if source == FROM_CONF:
        conf += f"HttpProxy.Host={host}\nHttpProxy.Port={port}\n"
    else:
        environment.update(dict.fromkeys(("http_proxy", "https_proxy"), f"http://{host}:{port}"))
    with RealChild(tmp_path, fabric, conf=conf, environment=environment) as child:
        fabric.await_extension(ECHO, seq_no=0, within_s=60)
        fabric.await_(
            lambda: {entry.endpoint for entry in fabric.journal.entries()} >= PLATFORM,
            60,
            "a look at every peer",
        )
        fabric.fault("hgap.status", "NOT_FOUND")
        since = len(fabric.journal)
        fabric.await_requests("storage.system", 1, since=since)  # the status, by itself
    direct = child.relays[fabric.address_book[f"{storage}:80"]]
    assert direct.connections == 0
    assert set(proxy.asked_for) == {f"{storage}:80"}
    assert 0 < len(fabric.journal.entries("storage.")) <= len(proxy.asked_for)
