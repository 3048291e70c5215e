"""Our own DHCP request: whom it is sent to, how often, and which answer counts.

Nothing of the guest is changed for it: no route, no firewall, no DHCP client that is stopped.
Source: spec DAEMON 6.5, 6.6.
"""

from __future__ import annotations

import logging
import secrets
from typing import Callable, Optional, Protocol

from waagent.core.context import Context
from waagent.core.dhcp_socket import open_dhcp_socket
from waagent.core.errors import DocumentError, GuestError, describe
from waagent.core.records import dataclass
from waagent.guest.interfaces import Interface, find_dhcp_interfaces
from waagent.guest.routes import has_wire_server_route
from waagent.protocol.dhcp_packet import DhcpOffer, parse_offer, render_discover

log = logging.getLogger(__name__)

DHCP_PAUSES_S = (0.0, 10.0, 30.0, 60.0, 60.0)
DHCP_ANSWER_S = 10.0
MOST_AT_ONCE = 64
MOST_NOTES = 20
BOOT_REPLY = 2


class DhcpError(GuestError):
    """No DHCP server answered with what we need."""

    label = "DhcpError"


class Channel(Protocol):
    """What is needed of a ``DhcpSocket``."""

    def send(self, message: bytes) -> None:
        """Broadcast it."""

    def receive(self) -> Optional[bytes]:
        """What has come; ``None`` when there is no more."""

    def fileno(self) -> int:
        """A descriptor to wait for."""

    def close(self) -> None:
        """Give it back."""


OpenChannel = Callable[[str], Channel]


@dataclass(frozen=True)
class Answer:
    """An offer, and the interface that it came to."""

    offer: DhcpOffer
    device: str


@dataclass(frozen=True)
class Asked:
    """An interface that a request went out on."""

    interface: Interface
    channel: Channel


class DhcpRequest:
    """Five DISCOVERs with growing pauses: on the primary interface, then on all.

    We listen in the pauses too: an answer that is late is an answer.
    """

    def __init__(self, context: Context, open_channel: OpenChannel = open_dhcp_socket) -> None:
        self._context = context
        self._open_channel = open_channel
        self._transaction = secrets.token_bytes(4)
        self._asked: dict[str, Asked] = {}
        self._second_best: Optional[Answer] = None
        self._notes_left = MOST_NOTES

    def run(self) -> Optional[Answer]:
        """The answer; ``None`` if meanwhile the guest got a route. ``DhcpError`` if nobody says."""
        log.info("Send dhcp request")
        try:
            return self._ask()
        finally:
            for each in self._asked.values():
                each.channel.close()
            self._asked.clear()

    def _ask(self) -> Optional[Answer]:
        system, stop = self._context.system, self._context.stop
        for attempt, pause_s in enumerate(DHCP_PAUSES_S):
            if pause_s:
                log.info("The next DHCP request is sent in %g s", pause_s)
                late = self._listen(pause_s)
                if late is not None:
                    return late
                if not stop.is_set() and has_wire_server_route(system):
                    log.info("The guest has a route to the wire server by now")
                    return None
            if stop.is_set():
                break
            self._send(attempt)
            found = self._listen(DHCP_ANSWER_S) or self._second_best
            if found is not None:
                return found
            log.warning(
                "Failed to send DHCP request: no DHCP server answered within %g s", DHCP_ANSWER_S
            )
        raise DhcpError("Failed to receive dhcp response.")

    def _send(self, attempt: int) -> None:
        interfaces = find_dhcp_interfaces(self._context.system)
        if not interfaces and not attempt:
            raise DhcpError(
                "cannot ask DHCP for the wire server: there is no Ethernet interface that is up"
            )
        for interface in interfaces if attempt else interfaces[:1]:
            packet = render_discover(
                interface.mac_bytes, self._transaction, broadcast=bool(attempt)
            )
            try:
                self._channel_of(interface).send(packet)
                log.info("DHCP request %d is sent on %s", attempt + 1, interface.name)
            except OSError as error:
                log.warning(
                    "Failed to send DHCP request on %s: %s", interface.name, describe(error)
                )
                self._give_up(interface.name)

    def _channel_of(self, interface: Interface) -> Channel:
        if interface.name not in self._asked:
            self._asked[interface.name] = Asked(interface, self._open_channel(interface.name))
        return self._asked[interface.name].channel

    def _give_up(self, name: str) -> None:
        asked = self._asked.pop(name, None)
        if asked is not None:
            asked.channel.close()

    def _listen(self, seconds: float) -> Optional[Answer]:
        clock, stop = self._context.system.clock, self._context.stop
        deadline = clock.monotonic() + seconds
        while True:
            for name in tuple(self._asked):
                answer = self._hear(name)
                if answer is not None:
                    return answer
            remaining = deadline - clock.monotonic()
            descriptors = [each.channel.fileno() for each in self._asked.values()]
            if remaining <= 0 or clock.wait(stop, remaining, *descriptors):
                return None

    def _hear(self, name: str) -> Optional[Answer]:
        asked = self._asked[name]
        for _ in range(MOST_AT_ONCE):
            try:
                data = asked.channel.receive()
            except OSError as error:
                log.warning("Cannot hear DHCP on %s any more: %s", name, describe(error))
                self._give_up(name)
                return None
            if data is None:
                return None
            offer = self._judge(data, asked.interface)
            if offer is None:
                continue
            if offer.endpoint is not None:
                return Answer(offer, name)
            self._note("A DHCP server on %s does not name the wire server", name)
            self._second_best = self._second_best or Answer(offer, name)
        return None

    def _judge(self, data: bytes, interface: Interface) -> Optional[DhcpOffer]:
        """What is said to others is passed over; a broadcast reaches everyone."""
        if data[:1] != bytes((BOOT_REPLY,)) or data[4:8] != self._transaction:
            return None
        try:
            offer = parse_offer(data)
        except DocumentError as error:
            self._note("%s", error)
            return None
        if offer.mac != interface.mac_bytes:
            self._note("cannot use the DHCP response: it answers %s", offer.mac.hex(":"))
            return None
        for note in offer.notes:
            self._note("DHCP response: %s", note)
        return offer

    def _note(self, text: str, what: object) -> None:
        """Whoever sends rubbish without end does not fill the log."""
        if self._notes_left > 0:
            log.warning(text, what)
        self._notes_left -= 1
