"""Signs of life: the agent's own, and how HostPlugin and metadata service look from here.

The agent's heartbeat belongs to the main loop, whose life it proves; the rest is the thread
``MonitorHandler``. Source: spec WIRE 2.9, 6.2, 10.2; EXT 9.1 and 9.5; CLI 4.4.
"""

from __future__ import annotations

import logging
import uuid
from typing import Callable

from waagent.core.clock import Clock
from waagent.core.errors import AgentError, HttpError, RequestStopped, describe
from waagent.core.events import Events, Op
from waagent.core.version import AGENT_NAME, AGENT_VERSION
from waagent.core.workers import Periodic
from waagent.protocol.exchange import IoErrors
from waagent.protocol.health_service import HOST_HEARTBEAT, IMDS_HEARTBEAT, HealthService
from waagent.protocol.host import Host
from waagent.protocol.imds import Imds

log = logging.getLogger(__name__)

THREAD = "MonitorHandler"
SIGNALS_THREAD = "HealthServiceHandler"
AGENT_PERIOD_S = 1800.0
PEER_PERIOD_S = 60.0
HTTP_ERRORS_PERIOD_S = 1800.0


class AgentHeartbeat:
    """Says every half hour that this agent is in charge; asked by the main loop each turn."""

    def __init__(
        self,
        events: Events,
        clock: Clock,
        *,
        auto_update: bool,
        update_mode: Callable[[], str],
        version: str = AGENT_VERSION,
    ) -> None:
        self._events = events
        self._clock = clock
        self._auto_update = auto_update
        self._update_mode = update_mode
        self._version = version
        self._id = str(uuid.uuid4()).upper()
        self._counter = 0
        self._due = clock.monotonic()

    def beat_if_due(self, goal_state_errors: int) -> bool:
        """Beat when it is time; ``True`` means that these errors are told and counted anew."""
        now = self._clock.monotonic()
        if now < self._due:
            return False
        self._due = now + AGENT_PERIOD_S
        message = (
            f"HeartbeatCounter: {self._counter};HeartbeatId: {self._id};"
            f"UpdateGSErrors: {goal_state_errors};AutoUpdate: {int(self._auto_update)};"
            f"UpdateMode: {self._update_mode()};"
        )
        self._counter += 1
        log.info(
            "[HEARTBEAT] Agent %s-%s is running as the goal state agent [DEBUG %s]",
            AGENT_NAME,
            self._version,
            message,
        )
        self._events.add(Op.HEARTBEAT, message, version=self._version)
        return True


class HostHeartbeat:
    """Looks at the HostPlugin every minute, and tells the host what it saw."""

    def __init__(self, host: Host, health: HealthService, events: Events) -> None:
        self._host = host
        self._health = health
        self._events = events

    def beat(self) -> None:
        """One look; a failure before the question is asked is no sample."""
        try:
            self._host.ensure_available()
            self._host.refresh()
        except RequestStopped:
            return
        except AgentError as error:
            message = f"Failed to look at the HostPlugin: {describe(error)}"
            self._events.add(Op.HOST_PLUGIN_HEARTBEAT, message, success=False)
            return
        is_healthy, why = True, ""
        try:
            self._host.plugin.fetch_health()
        except RequestStopped:
            return
        except HttpError as error:
            is_healthy, why = False, describe(error)
            log.warning("The HostPlugin is not healthy: %s", why)
        self._health.observe(HOST_HEARTBEAT, is_healthy)
        bad_for_s = self._health.bad_for_s(HOST_HEARTBEAT)
        if bad_for_s is not None:
            self._events.add(
                Op.HOST_PLUGIN_HEARTBEAT_EXTENDED,
                f"{bad_for_s / 60:g} min since successful heartbeat",
                success=False,
            )


class ImdsHeartbeat:
    """Looks at the metadata service every minute, and tells the host what it saw."""

    def __init__(self, imds: Imds, health: HealthService) -> None:
        self._imds = imds
        self._health = health

    def beat(self) -> None:
        """One look."""
        try:
            probe = self._imds.probe()
        except RequestStopped:
            return
        self._health.observe(IMDS_HEARTBEAT, probe.is_healthy, "", probe.text)


class HttpErrorReport:
    """Tells every half hour how many requests had no answer."""

    def __init__(self, errors: IoErrors, events: Events) -> None:
        self._errors = errors
        self._events = events

    def report(self) -> None:
        """Tell, if there is something to tell; the counts start anew."""
        counts = self._errors.take()
        if any(counts.values()):
            message = ";".join(f"{peer}:{count}" for peer, count in counts.items())
            self._events.add(Op.HTTP_ERRORS, message)


def periodics(
    host: HostHeartbeat, imds: ImdsHeartbeat, http_errors: HttpErrorReport
) -> list[Periodic]:
    """The heartbeats of the thread ``MonitorHandler``."""
    return [
        Periodic("report HTTP errors", HTTP_ERRORS_PERIOD_S, http_errors.report),
        Periodic("look at the HostPlugin", PEER_PERIOD_S, host.beat),
        Periodic("look at the metadata service", PEER_PERIOD_S, imds.beat),
    ]


def signals(health: HealthService) -> list[Periodic]:
    """The work of a thread of its own: a health service that is down holds up nobody else."""
    return [Periodic("tell the host how it does", 0.0, health.post_waiting, bell=health.bell)]
