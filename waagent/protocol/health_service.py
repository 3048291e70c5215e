"""Observations for the host's health service: one POST each, patient before they turn bad.

Callers report every sample and are never held up: what is a signal, and how often it is sent, is
decided here, and a thread of its own posts it (``post_waiting``).
Source: spec WIRE 6.6 and 9.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Mapping
from typing import Optional

from waagent.core.clock import Bell, Clock
from waagent.core.errors import HttpError, RequestStopped, describe
from waagent.core.events import Events, Op
from waagent.core.http import Request
from waagent.core.log import Quietly
from waagent.core.records import dataclass, field
from waagent.core.redact import redact
from waagent.core.version import AGENT_NAME
from waagent.protocol.exchange import Exchange

log = logging.getLogger(__name__)

HOST_HEARTBEAT = "GuestAgentPluginHeartbeat"
HOST_VERSIONS = "GuestAgentPluginVersions"
HOST_ARTIFACT = "GuestAgentPluginArtifact"
HOST_STATUS = "GuestAgentPluginStatus"
IMDS_HEARTBEAT = "InstanceMetadataHeartbeat"

MAX_NAME = 64
MAX_DESCRIPTION = 128
MAX_VALUE = 128
MOST_WAITING = 10


@dataclass(frozen=True)
class Observation:
    """What the service is told of one thing; each text is cut to what the service takes."""

    name: str
    is_healthy: bool
    description: str = ""
    value: str = ""

    def document(self) -> dict[str, object]:
        """As it stands in the report."""
        return {
            "ObservationName": self.name[:MAX_NAME],
            "IsHealthy": self.is_healthy,
            "Description": redact(self.description)[:MAX_DESCRIPTION],
            "Value": redact(self.value)[:MAX_VALUE],
        }


def render_report(observations: tuple[Observation, ...]) -> bytes:
    """The body of a report."""
    document = {
        "Api": "reporttargethealth",
        "Version": "1.0",
        "Source": AGENT_NAME,
        "Observations": [observation.document() for observation in observations],
    }
    return json.dumps(document).encode("ascii")


@dataclass(frozen=True)
class Patience:
    """How long samples may be bad before the signal is, and how often it is sent at most."""

    bad_after_s: float = 0.0
    every_s: float = 0.0


PATIENCE: Mapping[str, Patience] = {
    HOST_HEARTBEAT: Patience(bad_after_s=300.0),
    HOST_ARTIFACT: Patience(bad_after_s=300.0, every_s=60.0),
    HOST_STATUS: Patience(bad_after_s=300.0, every_s=60.0),
    IMDS_HEARTBEAT: Patience(bad_after_s=180.0),
}


@dataclass
class _Signal:
    bad_since: Optional[float] = None
    sent_at: Optional[float] = None


@dataclass
class _Signals:
    """What is remembered of each signal, for all threads."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    by_name: dict[str, _Signal] = field(default_factory=dict)

    def named(self, name: str) -> _Signal:
        return self.by_name.setdefault(name, _Signal())


class HealthService:
    """Tells the host how it does, as this machine sees it.

    ``bell`` rings when something waits to be posted.
    """

    def __init__(self, exchange: Exchange, endpoint: str, *, events: Events, clock: Clock) -> None:
        self._exchange = exchange
        self._url = f"http://{endpoint}/HealthService"
        self._events = events
        self._clock = clock
        self._signals = _Signals()
        self._waiting: deque[Observation] = deque(maxlen=MOST_WAITING)
        self._quietly = Quietly(clock)
        self.bell = Bell()

    def observe(self, name: str, is_healthy: bool, description: str = "", value: str = "") -> None:
        """Take in one sample, and have the signal posted if one is due; never raises nor waits.

        A bad sample makes the signal bad once there was no good one for the signal's patience.
        """
        patience = PATIENCE.get(name, Patience())
        now = self._clock.monotonic()
        with self._signals.lock:
            signal = self._signals.named(name)
            if is_healthy:
                signal.bad_since = None
            elif signal.bad_since is None:
                signal.bad_since = now
            bad_for_s = 0.0 if signal.bad_since is None else now - signal.bad_since
            looks_healthy = is_healthy or bad_for_s < patience.bad_after_s
            is_due = signal.sent_at is None or now - signal.sent_at >= patience.every_s
            if is_due:
                signal.sent_at = now
        if is_due:
            self._take_in(Observation(name, looks_healthy, description, value))

    def post_waiting(self) -> None:
        """Post what waits, one by one; what cannot be posted is lost (WIRE 9)."""
        while self._waiting:
            self._post(self._waiting.popleft())

    def bad_for_s(self, name: str) -> Optional[float]:
        """How long a signal has been bad, beyond its patience; ``None`` while it is good."""
        with self._signals.lock:
            since = self._signals.named(name).bad_since
        if since is None:
            return None
        bad_for_s = self._clock.monotonic() - since
        return bad_for_s if bad_for_s >= PATIENCE.get(name, Patience()).bad_after_s else None

    def _take_in(self, observation: Observation) -> None:
        if not observation.is_healthy:
            self._events.add(
                Op.HEALTH_OBSERVATION,
                json.dumps(observation.document()),
                success=False,
                quiet=True,
            )
        self._waiting.append(observation)  # the oldest makes room: the newer one says more
        self.bell.ring()

    def _post(self, observation: Observation) -> None:
        request = Request(
            "POST",
            self._url,
            (("Content-Type", "application/json"),),
            render_report((observation,)),
        )
        try:
            self._exchange.send(request)
        except RequestStopped:
            return
        except HttpError as error:
            why = describe(error)
            if self._quietly.may_say(f"{observation.name}: {why}"):
                log.warning("Cannot report %s to the host: %s", observation.name, why)
