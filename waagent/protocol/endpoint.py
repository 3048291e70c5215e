"""Find the wire server: by route, lease, DHCP or the well-known address; then see that it answers.

Source: spec DAEMON 6.1 to 6.6, WIRE 1.
"""

from __future__ import annotations

import ipaddress
import logging
from typing import TYPE_CHECKING, Callable, Optional, TypeVar

from waagent.core.context import Context
from waagent.core.dhcp_socket import open_dhcp_socket
from waagent.core.errors import AgentError, describe, is_disk_trouble
from waagent.core.http import Transport
from waagent.guest import dhcp, routes
from waagent.guest.profile import Profile
from waagent.protocol.dhcp_request import Answer, DhcpError, DhcpRequest, OpenChannel
from waagent.protocol.disk_trouble import report_disk_trouble
from waagent.protocol.documents.versions import parse_versions
from waagent.protocol.errors import EndpointNotFound
from waagent.protocol.exchange import Exchange
from waagent.protocol.saved_endpoint import KNOWN_ENDPOINT, save
from waagent.protocol.transport_keys import TransportKeys
from waagent.protocol.wire import WIRE_VERSION, Wire

if TYPE_CHECKING:
    from waagent.protocol.session import Session

log = logging.getLogger(__name__)

T = TypeVar("T")

DETECTION_TRIES = 360
DETECTION_PAUSE_S = 10.0
DHCP = "dhcp"


class Detection:
    """Searches until a wire server answers that speaks our version."""

    def __init__(
        self,
        context: Context,
        profile: Profile,
        transport: Transport,
        open_channel: OpenChannel = open_dhcp_socket,
    ) -> None:
        self._context = context
        self._profile = profile
        self._transport = transport
        self._open_channel = open_channel
        self._skips_leases = False
        self._keys = TransportKeys(context.paths, context.system.clock)
        self._wire: Optional[Wire] = None
        self._has_told_of_disk = False

    def prepare(self) -> None:
        """Begin with what takes its time and needs no network: a new transport key."""
        self._keys.begin()

    def find(self) -> str:
        """The address of the wire server, found and saved, and transport keys at hand.

        For a restart, which goes on with the keys that it has. Raises ``EndpointNotFound`` after
        about an hour.
        """
        return self._search(lambda endpoint: endpoint, needs_keys=not self._keys.can_stay())

    def connect(self) -> Session:
        """The same with new keys, and a session that has fetched the goal state.

        For a first boot: an image may have keys of another machine.
        """
        return self._search(self._fetch_goal_state, needs_keys=True, is_awaited=True)

    def _search(self, use: Callable[[str], T], *, needs_keys: bool, is_awaited: bool = False) -> T:
        """``is_awaited``: somebody at the portal waits for this machine."""
        log.info("Detect protocol endpoint")
        for attempt in range(DETECTION_TRIES):
            if attempt:
                log.info("Retry detect protocol: retry=%d", attempt)
                if self._context.system.clock.wait(self._context.stop, DETECTION_PAUSE_S):
                    break
            try:
                if needs_keys:
                    self._keys.begin()
                return self._attempt(use)
            except (AgentError, OSError) as error:
                self._note_failure(error, is_awaited=is_awaited)
        raise EndpointNotFound("No protocol found.")

    def _note_failure(self, error: Exception, *, is_awaited: bool) -> None:
        """A full disk is no missing fabric; the search goes on until there is room."""
        if not is_disk_trouble(error):
            log.info("Protocol endpoint not found: %s", describe(error))
            return
        log.error("Cannot keep what the fabric is asked with: %s", describe(error))
        if is_awaited and self._wire is not None and not self._has_told_of_disk:
            self._has_told_of_disk = report_disk_trouble(self._wire, error)

    def _attempt(self, use: Callable[[str], T]) -> T:
        endpoint = self._find_endpoint()
        try:
            self._check_versions(endpoint)
            self._keys.finish()
            outcome = use(endpoint)
        except AgentError:
            log.info("WireServer is not responding. Reset dhcp endpoint")
            self._skips_leases = True
            raise
        try:
            save(self._context, endpoint)
        except OSError as error:
            log.warning("Cannot leave the address for the child: %s", describe(error))
        return outcome

    def _fetch_goal_state(self, endpoint: str) -> Session:
        from waagent.protocol.session import open_session  # all of it: not for a restart

        session = open_session(
            self._context,
            self._transport,
            endpoint,
            keeps_history=False,
            opener=self._keys.open_certificates,
        )
        log.info("Initializing goal state during protocol detection")
        session.store.refresh(force=True)
        return session

    def _check_versions(self, endpoint: str) -> None:
        clock, stop = self._context.system.clock, self._context.stop
        exchange = Exchange(self._transport, clock, endpoint=endpoint, stop=stop)
        wire = Wire(exchange, endpoint, clock)
        versions = parse_versions(wire.fetch_versions())
        if not versions.accepts(WIRE_VERSION):
            raise EndpointNotFound(
                f"Agent supported wire protocol version: {WIRE_VERSION} was not advised by Fabric."
            )
        log.info("Wire protocol version:%s", WIRE_VERSION)
        self._wire = wire

    def _find_endpoint(self) -> str:
        discovery = self._context.conf.protocol.endpoint_discovery
        if discovery != DHCP:
            log.info(
                "_detect_protocol: DHCP usage for endpoint discovery is disabled"
                " (Protocol.EndpointDiscovery=%s). Will use known wireserver endpoint.",
                discovery,
            )
            return KNOWN_ENDPOINT
        return self._by_route() or self._by_lease() or self._by_dhcp()

    def _by_route(self) -> Optional[str]:
        log.info("Test for route to %s", KNOWN_ENDPOINT)
        if routes.has_wire_server_route(self._context.system):
            log.info("Route to %s exists", KNOWN_ENDPOINT)
            return KNOWN_ENDPOINT
        log.warning("No route exists to %s", KNOWN_ENDPOINT)
        return None

    def _by_lease(self) -> Optional[str]:
        if self._skips_leases:
            return None
        log.info("Checking for dhcp lease cache")
        found = dhcp.find_leased_endpoint(self._context.system, self._profile.dhcp)
        log.info("Cache exists [%s]", found is not None)
        return found

    def _by_dhcp(self) -> str:
        """What DHCP says; else the known address, where any route leads there.

        A guest with a static address may be on a network whose DHCP we cannot hear.
        """
        try:
            answer = DhcpRequest(self._context, self._open_channel).run()
            if answer is None:
                return KNOWN_ENDPOINT
            self._configure_routes(answer)
            if answer.offer.endpoint is not None:
                return answer.offer.endpoint
            raise EndpointNotFound("WireProtocol endpoint is None")
        except (DhcpError, EndpointNotFound) as error:
            system, stop = self._context.system, self._context.stop
            if stop.is_set() or not routes.leads_to(routes.read_routes(system), KNOWN_ENDPOINT):
                raise
            log.warning("Trying the known wire server %s: %s", KNOWN_ENDPOINT, describe(error))
            return KNOWN_ENDPOINT

    def _configure_routes(self, answer: Answer) -> None:
        system, offer, device = self._context.system, answer.offer, answer.device
        log.info("Configure routes")
        log.info("Gateway:%s", offer.gateway)
        log.info("Routes:%s", [f"{route.network} via {route.gateway}" for route in offer.routes])
        if offer.gateway:
            routes.ensure_route(system, ipaddress.IPv4Network("0.0.0.0/0"), offer.gateway, device)
        for route in offer.routes:
            network = ipaddress.IPv4Network(route.network)
            routes.ensure_route(system, network, route.gateway, device)
