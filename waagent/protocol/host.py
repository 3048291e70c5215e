"""Our standing with the host: who we are to it, and whether its plugin can be used.

The one piece of memory that all clients of the HostPlugin share; locked. Source: spec WIRE 3.1
(side effects of a goal-state request), 6.1 (initialisation), 2.11 (what 410 means).
"""

from __future__ import annotations

import logging
import threading
from typing import Callable, Optional, TypeVar

from waagent.core.clock import Clock
from waagent.core.errors import AgentError, HttpError, RequestStopped
from waagent.core.events import Events, Op
from waagent.core.http import Response
from waagent.core.records import dataclass
from waagent.protocol.documents.goalstate import GoalState
from waagent.protocol.errors import ProtocolFault, StaleGoalState
from waagent.protocol.exchange import OK, Exchange, find_sample
from waagent.protocol.hostplugin import API_VERSION, HostIdentity, HostPlugin
from waagent.protocol.wire import Wire

log = logging.getLogger(__name__)
T = TypeVar("T")

SAY_REPEAT_EVERY_S = 6 * 3600.0

Observer = Callable[[str, bool, str, str], None]
"""Reports to the host's health service: observation, whether healthy, description, value."""


class Host:
    """The HostPlugin as this machine sees it now."""

    def __init__(self, wire: Wire, plugin: HostPlugin, events: Events, observe: Observer) -> None:
        self.plugin = plugin
        self._wire = wire
        self._events = events
        self._observe = observe
        self._lock = threading.Lock()
        self._identity: Optional[HostIdentity] = None
        self._is_available = False

    @property
    def identity(self) -> HostIdentity:
        """The container and config name that were last learned; learned now if none was."""
        with self._lock:
            identity = self._identity
        return identity or self.refresh()

    def learn(self, goal_state: GoalState) -> HostIdentity:
        """Take over what every goal state says of us, also when its incarnation is known."""
        identity = HostIdentity(goal_state.container_id, goal_state.config_name or "")
        with self._lock:
            self._identity = identity
        self._events.learn(container_id=goal_state.container_id)
        return identity

    def refresh(self) -> HostIdentity:
        """Ask for the goal state once, only to learn who we are now."""
        return self.learn(self._wire.fetch_goal_state()[0])

    def with_identity(self, ask: Callable[[HostIdentity], T]) -> T:
        """Ask; when the host says that we are not who we say, learn anew and ask once more."""
        try:
            return ask(self.identity)
        except StaleGoalState:
            log.info("The container or its configuration changed; asking for the goal state")
            identity = self.refresh()
        try:
            answer = ask(identity)
        except AgentError as error:
            self._tell_of_the_repeat(
                "The HostPlugin refused us also after the goal state was asked for again:"
                f" {error.for_fabric()}",
                success=False,
            )
            raise
        self._tell_of_the_repeat(
            "The HostPlugin knew us once the goal state was asked for again", success=True
        )
        return answer

    def ensure_available(self) -> None:
        """Check once that the plugin speaks our version; ``ProtocolFault`` if it does not.

        While it does not it is asked again at every use.
        """
        if self._is_available:
            return
        healthy, text, available = True, "", False
        try:
            response = self.plugin.fetch_versions(self.identity)
            available = response.status in OK and API_VERSION.encode() in response.body
        except RequestStopped:
            raise
        except HttpError as error:
            sample = find_sample(error)  # exhausted retries and 410: unhealthy without a value
            healthy, text = sample is True, "" if sample is None else error.message
        self._events.add(Op.INITIALIZE_HOST_PLUGIN, success=available, quiet=True)
        self._observe("GuestAgentPluginVersions", healthy, "", text)
        if not available:
            raise ProtocolFault("HostGAPlugin: Host plugin channel is not available")
        self._is_available = True

    def put_log(self, archive: bytes) -> Response:
        """Hand a log archive to the host; no way around it, and no second try if we moved.

        Raises ``ProtocolFault`` where the plugin cannot be used, else ``HttpError`` (WIRE 6.5).
        """
        self.ensure_available()
        try:
            return self.plugin.put_log(self.identity, archive)
        except HttpError as error:
            raise HttpError(
                f"HostGAPlugin: Upload VM logs failed: {error.for_fabric()}",
                method=error.method,
                url=error.url,
            ) from error

    def _tell_of_the_repeat(self, message: str, *, success: bool) -> None:
        self._events.add(
            Op.HOST_PLUGIN, message, success=success, quiet=True, every_s=SAY_REPEAT_EVERY_S
        )


@dataclass(frozen=True)
class Ways:
    """The two ways to storage, by ourselves and through the host, and whom to tell how it went."""

    exchange: Exchange
    host: Host
    events: Events
    clock: Clock
    observe: Observer
