"""The instance metadata service: what telemetry says of this machine, and is the service well.

The agent needs nothing else of it. Source: spec WIRE 10.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from waagent.core.errors import (
    AgentError,
    Garbled,
    HttpError,
    HttpStatus,
    RequestStopped,
    Unreachable,
    describe,
)
from waagent.core.events import Events
from waagent.core.http import Request
from waagent.core.redact import redact
from waagent.core.version import AGENT_NAME, AGENT_VERSION
from waagent.protocol.documents.instance import Compute, find_instance_fault, parse_compute
from waagent.protocol.exchange import AGAIN, Exchange

log = logging.getLogger(__name__)

ADDRESS = "169.254.169.254"
API_VERSION = "2018-02-01"
USER_AGENT = f"{AGENT_NAME}/{AGENT_VERSION}"


class Probe(NamedTuple):
    """The outcome of one look at the service; the text says why, also when it is not to blame."""

    is_healthy: bool
    text: str


class Imds:
    """A client of the service; holds no state."""

    def __init__(self, exchange: Exchange, *, user_agent: str = USER_AGENT) -> None:
        self._exchange = exchange
        self._user_agent = user_agent

    def fetch_compute(self) -> Compute:
        """Where and from what image this machine runs; ``HttpError`` or ``DocumentError``."""
        request = _request("instance/compute", self._user_agent)
        return parse_compute(self._exchange.send(request).body)

    def probe(self) -> Probe:
        """Whether the service answers with what an instance has; never raises for its answer.

        What is our own side's fault, or is only throttled, is not held against the service.
        """
        try:
            response = self._exchange.send(_request("instance", f"{self._user_agent}+health"))
        except RequestStopped:
            raise
        except HttpError as error:
            return _judge(error, "instance")
        fault = find_instance_fault(response.body)
        return Probe(fault is None, fault or "")


def learn_compute(imds: Imds, events: Events) -> bool:
    """Let all further events say where this machine runs; a failure is only logged."""
    try:
        compute = imds.fetch_compute()
    except AgentError as error:
        log.warning("Cannot learn about this machine from IMDS: %s", describe(error))
        return False
    events.learn(**compute.parameters())
    return True


def _request(path: str, user_agent: str) -> Request:
    # The user agent stands before "Metadata" on the wire, so it is a header of this request.
    return Request(
        "GET",
        f"http://{ADDRESS}/metadata/{path}?api-version={API_VERSION}",
        (("User-Agent", user_agent), ("Metadata", "True")),
        user_agent=user_agent,
    )


def _judge(error: HttpError, path: str) -> Probe:
    place = f"IMDS error in /metadata/{path}"
    if isinstance(error, Unreachable) and not isinstance(error, Garbled):
        return Probe(True, f"{place}: Unable to connect to endpoint")
    status = error.status if isinstance(error, HttpStatus) else 500
    if status == 429:
        return Probe(True, f"{place}: Throttled")
    if status == 410:
        return Probe(False, f"{place}: HTTP Failed with Status Code 410: Gone")
    is_service = status >= 500 or status in AGAIN
    return Probe(not is_service, f"{place}: {redact(error.message)}")
