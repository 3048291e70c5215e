"""All clients of one wire server around a scripted transport: no fabric, no time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Union

from tests.support.clock import ManualClock
from tests.support.runner import ScriptedRunner
from tests.support.transport import Reply, ScriptedTransport, answers
from waagent.core.clock import Stop
from waagent.core.conf import Conf
from waagent.core.context import Context
from waagent.core.events import Events, Op
from waagent.core.paths import make_paths
from waagent.core.system import System
from waagent.protocol.session import Session, open_session

ENDPOINT = "168.63.129.16"
WIRE = f"http://{ENDPOINT}"
PLUGIN = f"http://{ENDPOINT}:32526"
GOAL_STATE = ("GET", f"{WIRE}/machine/?comp=goalstate")
HEALTH_SERVICE = ("POST", f"{WIRE}/HealthService")
VERSIONS = ("GET", f"{PLUGIN}/versions")
ARTIFACT = ("GET", f"{PLUGIN}/extensionArtifact")
STATUS = ("PUT", f"{PLUGIN}/status")

Script = dict[tuple[str, str], Union[Reply, Sequence[Reply]]]


def goal_state(container: str = "container-1", incarnation: str = "1") -> bytes:
    """A goal state that names a container."""
    return (
        f"<GoalState><Incarnation>{incarnation}</Incarnation><Container>"
        f"<ContainerId>{container}</ContainerId><RoleInstanceList><RoleInstance>"
        "<InstanceId>deployment.vm</InstanceId><Configuration>"
        "<HostingEnvironmentConfig>http://168.63.129.16/h</HostingEnvironmentConfig>"
        "<SharedConfig>http://168.63.129.16/s</SharedConfig>"
        f"<ConfigName>deployment.{container}.xml</ConfigName></Configuration></RoleInstance>"
        "</RoleInstanceList></Container></GoalState>"
    ).encode()


class World:
    """A session whose peers say what the script has."""

    def __init__(self, root: Path, script: Script) -> None:
        usual: Script = {
            GOAL_STATE: answers(200, goal_state()),
            HEALTH_SERVICE: answers(200),
            VERSIONS: answers(200, b'["2015-09-01"]'),
        }
        self.transport = ScriptedTransport({**usual, **script})
        self.clock = ManualClock()
        system = System(root, ScriptedRunner({}), self.clock)
        self.paths = make_paths(system, Conf())
        self.paths.lib.mkdir(parents=True)
        events = Events(self.paths.events, self.clock)
        self.context = Context(system, Conf(), self.paths, events, Stop())
        self.session: Session = open_session(
            self.context, self.transport, ENDPOINT, keeps_history=True
        )

    def asked(self, key: tuple[str, str]) -> int:
        """How often a request was sent."""
        return sum(1 for each in self.transport.sent if (each.method, each.url) == key)

    def headers(self, key: tuple[str, str], number: int = -1) -> dict[str, str]:
        """The headers of one of the requests of a kind."""
        sent = [each for each in self.transport.sent if (each.method, each.url) == key]
        return dict(sent[number].headers)

    def events(self, op: Op) -> list[tuple[bool, str]]:
        """Success and message of the events of an operation, oldest first."""
        found = []
        for path in sorted(self.paths.events.glob("*.tld")):
            pairs = json.loads(path.read_text(encoding="utf-8"))["parameters"]
            event: dict[str, Any] = {each["name"]: each["value"] for each in pairs}
            if event.get("Operation") == op.value:
                found.append((event["OperationSuccess"], event["Message"]))
        return found

    def observations(self, name: str) -> list[tuple[bool, str]]:
        """What the host was told of one thing: healthy or not, and the value."""
        self.session.health.post_waiting()  # a thread does that
        told = []
        for body in self.transport.bodies(HEALTH_SERVICE[1]):
            for each in json.loads(body)["Observations"]:
                if each["ObservationName"] == name:
                    told.append((each["IsHealthy"], each["Value"]))
        return told
