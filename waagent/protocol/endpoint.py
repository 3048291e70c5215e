"""Find the wire server: by route, lease, DHCP or the well-known address; then see that it answers.

Source: spec DAEMON 6.1 to 6.6, WIRE 1.
"""

from __future__ import annotations

import ipaddress
import logging
import secrets
from typing import TYPE_CHECKING, Callable, Optional, TypeVar

from waagent.core import sockets
from waagent.core.context import Context
from waagent.core.errors import AgentError, DocumentError, GuestError, describe, is_disk_trouble
from waagent.core.http import Transport
from waagent.guest import dhcp, interfaces, routes
from waagent.guest.profile import Profile
from waagent.protocol.dhcp_packet import DhcpOffer, parse_offer, render_discover
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
DHCP_PAUSES_S = (0.0, 10.0, 30.0, 60.0, 60.0)
DHCP_ANSWER_S = 10.0
DHCP = "dhcp"


class DhcpError(GuestError):
    """No DHCP server answered with what we need."""

    label = "DhcpError"


class Detection:
    """Searches until a wire server answers that speaks our version."""

    def __init__(self, context: Context, profile: Profile, transport: Transport) -> None:
        self._context = context
        self._profile = profile
        self._transport = transport
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
        interface = interfaces.find_primary_interface(self._context.system)
        if interface is None or not interface.mac_bytes:
            raise DhcpError(
                "cannot ask DHCP for the wire server: there is no Ethernet interface that is up"
            )
        offer = ask_dhcp(self._context, interface.name, interface.mac_bytes)
        self._configure_routes(offer)
        if offer.endpoint is None:
            raise EndpointNotFound("WireProtocol endpoint is None")
        return offer.endpoint

    def _configure_routes(self, offer: DhcpOffer) -> None:
        system = self._context.system
        log.info("Configure routes")
        log.info("Gateway:%s", offer.gateway)
        log.info("Routes:%s", [f"{route.network} via {route.gateway}" for route in offer.routes])
        if offer.gateway and not routes.has_default(routes.read_routes(system)):
            routes.ensure_route(system, ipaddress.IPv4Network("0.0.0.0/0"), offer.gateway)
        for route in offer.routes:
            routes.ensure_route(system, ipaddress.IPv4Network(route.network), route.gateway)


def ask_dhcp(context: Context, device: str, mac: bytes) -> DhcpOffer:
    """Broadcast a DISCOVER and read the OFFER, five times with growing pauses (DAEMON 6.5)."""
    clock = context.system.clock
    packet_id = secrets.token_bytes(4)
    log.info("Send dhcp request")
    for attempt, pause_s in enumerate(DHCP_PAUSES_S):
        if pause_s and clock.wait(context.stop, pause_s):
            break
        packet = render_discover(mac, packet_id, broadcast=attempt > 0)
        try:
            reply = sockets.exchange_dhcp(
                packet, packet_id, device=device, timeout_s=DHCP_ANSWER_S, clock=clock
            )
            if reply is None:
                raise DhcpError(f"no DHCP server answered within {DHCP_ANSWER_S:g} s")
            return _checked(reply, packet_id, mac)
        except (AgentError, OSError) as error:
            log.warning("Failed to send DHCP request: %s", describe(error))
    raise DhcpError("Failed to receive dhcp response.")


def _checked(reply: bytes, packet_id: bytes, mac: bytes) -> DhcpOffer:
    offer = parse_offer(reply)
    if offer.transaction_id != packet_id or offer.mac != mac:
        raise DocumentError("cannot use the DHCP response: it answers somebody else")
    for note in offer.notes:
        log.error("%s", note)
    return offer
