"""What collectors and senders share in tests: an outbox, a spool, a clock, and a server."""

from __future__ import annotations

from pathlib import Path
from typing import Optional
from xml.etree import ElementTree as ET

from tests.support.clock import ManualClock
from waagent.core.clock import Stop
from waagent.core.errors import AgentError
from waagent.core.events import Events
from waagent.monitor.collect import Tools
from waagent.monitor.outbox import Outbox


def tools(spool: Path, *, limit: int = 4000) -> tuple[Tools, ManualClock]:
    """What a collector needs, around a spool; and the clock to move."""
    clock = ManualClock()
    events = Events(spool, clock)
    return Tools(events, Outbox(limit), clock, Stop()), clock


class TelemetryListener:
    """A server that keeps what it is sent, or refuses it."""

    def __init__(self, error: Optional[AgentError] = None) -> None:
        self.error = error
        self.bodies: list[bytes] = []

    def post_telemetry(self, body: bytes) -> None:
        """See ``waagent.monitor.send.TelemetryServer``."""
        if self.error is not None:
            raise self.error
        self.bodies.append(body)

    def events(self) -> list[dict[str, str]]:
        """The parameters of each event that arrived, by name."""
        arrived = []
        for body in self.bodies:
            for element in ET.fromstring(body).iter("Event"):
                parameters = ET.fromstring(f"<P>{element.text or ''}</P>")
                arrived.append({p.attrib["Name"]: p.attrib["Value"] for p in parameters})
        return arrived
