"""The wire server's requests, one method each: bytes in, bytes out, no document is read here.

Source: spec WIRE 2.3 (headers), 12 (table of requests).
"""

from __future__ import annotations

from waagent.core.clock import Clock
from waagent.core.errors import HttpError, HttpStatus, RequestStopped
from waagent.core.http import Request
from waagent.core.retry import Policy
from waagent.core.version import AGENT_NAME
from waagent.protocol import exchange
from waagent.protocol.documents.goalstate import GoalState, parse_goal_state
from waagent.protocol.errors import InvalidContainer, ProtocolFault, StaleGoalState
from waagent.protocol.exchange import Exchange

WIRE_VERSION = "2012-11-30"
CIPHERS = ("AES128_CBC", "DES_EDE3_CBC")
INCOMPLETE_TRIES = 6
INCOMPLETE_PAUSE_S = 0.5
MOST_SAID = 200

PLAIN = (("x-ms-agent-name", AGENT_NAME), ("x-ms-version", WIRE_VERSION))
XML = (*PLAIN, ("Content-Type", "text/xml;charset=utf-8"))


class Wire:
    """A client of one wire server; holds an address and no state, so threads may share it."""

    def __init__(self, exchange: Exchange, endpoint: str, clock: Clock) -> None:
        self._exchange = exchange
        self.endpoint = endpoint
        self._clock = clock

    def fetch_versions(self) -> bytes:
        """The versions document; the one request without protocol headers."""
        return self._send(Request("GET", f"http://{self.endpoint}/?comp=versions"))

    def fetch_goal_state(self) -> tuple[GoalState, bytes]:
        """The goal state and its bytes; asked again while the fabric has no role instance in it."""
        request = Request("GET", f"http://{self.endpoint}/machine/?comp=goalstate", PLAIN)
        for _ in range(INCOMPLETE_TRIES):
            data = self._send(request)
            goal_state = parse_goal_state(data)
            if goal_state.is_complete:
                return goal_state, data
            if self._clock.wait(self._exchange.stop, INCOMPLETE_PAUSE_S):
                break
        raise ProtocolFault(
            f"Fetched goal state without a RoleInstance [incarnation {goal_state.incarnation}]"
        )

    def fetch_document(self, url: str) -> bytes:
        """Hosting environment, shared config or extensions config, by the goal state's URL."""
        return self._send(Request("GET", url, PLAIN))

    def fetch_sealed(self, url: str, certificate: str, cipher: str) -> bytes:
        """Certificates or remote access, sealed for our transport certificate.

        ``certificate`` is base64 DER on one line.
        """
        headers = (
            *PLAIN,
            ("x-ms-guest-agent-public-x509-cert", certificate),
            ("x-ms-cipher-name", cipher),
        )
        return self._send(Request("GET", url, headers))

    def post_health(self, body: bytes) -> None:
        """Report provisioning health; patient, since the portal waits for it."""
        url = f"http://{self.endpoint}/machine?comp=health"
        self._send(Request("POST", url, XML, body), exchange.HEALTH)

    def post_telemetry(self, body: bytes) -> None:
        """Send one batch of events, under 64 KB."""
        url = f"http://{self.endpoint}/machine?comp=telemetrydata"
        self._send(Request("POST", url, XML, body), exchange.TELEMETRY)

    def _send(self, request: Request, policy: Policy = exchange.DEFAULT) -> bytes:
        """The body of a success; anything else but 410 is a ``ProtocolFault`` (spec WIRE 2.10).

        ``RequestStopped`` passes too.
        """
        try:
            return self._exchange.send(request, policy=policy).body
        except HttpError as error:
            is_gone = isinstance(error, StaleGoalState) and not isinstance(error, InvalidContainer)
            if is_gone or isinstance(error, RequestStopped):
                raise
            raise ProtocolFault(f"[Wireserver Exception] {_words(request, error)}") from error


def _words(request: Request, error: HttpError) -> str:
    """What went wrong, as the reference says it; of an answer that was final, what it said too."""
    if isinstance(error, InvalidContainer) or not isinstance(error, HttpStatus):
        return error.for_fabric()
    if "attempts" in error.facts:
        return error.for_fabric()
    said = f" {error.body[:MOST_SAID]!r}" if error.body else ""
    return (
        f"[ProtocolError] [Wireserver Failed] URI {request.url}"
        f"  [HTTP Failed] Status Code {error.status}{said}"
    )


def one_line_certificate(pem: str) -> str:
    """The base64 DER of a PEM certificate on one line, as the header wants it (WIRE 2.3)."""
    return "".join(line.strip() for line in pem.splitlines() if "----" not in line)
