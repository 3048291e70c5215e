"""Run in a guest's network namespace: search for the wire server, and say in JSON what was found.

The wire server itself is scripted; everything before it is real.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from tests.support.transport import ScriptedTransport, answers
from waagent.core import dhcp_socket
from waagent.core.clock import Stop
from waagent.core.conf import load
from waagent.core.context import Context
from waagent.core.errors import AgentError
from waagent.core.events import Events
from waagent.core.paths import make_paths
from waagent.core.system import real_system
from waagent.guest.profiles import GENERIC
from waagent.protocol.dhcp_request import OpenChannel
from waagent.protocol.endpoint import Detection

VERSIONS = b"<Versions><Preferred><Version>2012-11-30</Version></Preferred></Versions>"
WAYS: dict[str, OpenChannel] = {
    "any": dhcp_socket.open_dhcp_socket,
    "udp": dhcp_socket.open_udp_socket,
}


def main(lib: str, way: str, endpoint: str) -> None:
    """Search once."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    system = real_system()
    conf = load(f"Lib.Dir={lib}\n".encode(), "waagent.conf").conf
    paths = make_paths(system, conf)
    assert str(paths.lib) == lib, "this must not touch the machine's own agent"
    events = Events(Path(lib) / "events", system.clock)
    context = Context(system, conf, paths, events, Stop())
    url = ("GET", f"http://{endpoint}/?comp=versions")
    transport = ScriptedTransport({url: answers(200, VERSIONS)})
    detection = Detection(context, GENERIC, transport, WAYS[way])
    try:
        print(json.dumps({"endpoint": detection.find(), "saved": paths.endpoint.read_text()}))
    except AgentError as error:
        print(json.dumps({"error": str(error)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
