"""One request to an answer that counts: statuses judged, retried by policy, errors counted.

Source: spec WIRE 2.7 (outcome), 2.8 (retries), 2.9 (counters).
"""

from __future__ import annotations

import threading
from functools import partial
from typing import BinaryIO, Optional
from urllib.parse import urlsplit

from waagent.core import retry
from waagent.core.clock import Clock, Stop
from waagent.core.errors import (
    AgentError,
    Garbled,
    HttpError,
    HttpStatus,
    RequestStopped,
    Unreachable,
)
from waagent.core.http import Request, Response, Transport
from waagent.core.records import replace
from waagent.core.redact import without_query
from waagent.core.retry import Policy, Verdict
from waagent.protocol.errors import InvalidContainer, StaleGoalState, Throttled

OK = frozenset({200, 201, 202})
THROTTLED = frozenset({403, 429, 503})
AGAIN = frozenset({205, 206, 403, 429, 500, 501, 502, 503, 504, 507})
AGAIN_WITH_400 = AGAIN | {400}
HOST_PLUGIN_PORT = 32526
PLATFORM = frozenset({"168.63.129.16", "169.254.169.254"})
STALE_CONTAINER = b"InvalidContainerConfiguration"

DEFAULT = retry.DEFAULT
HEALTH = Policy(attempts=30, delay_s=15.0)
TELEMETRY = Policy(attempts=3, throttled_delay_s=8.0, throttled_attempts=None)
ONE = retry.ONCE


class IoErrors:
    """How many requests had no answer, by peer, since somebody last asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = {"hostplugin": 0, "protocol": 0, "other": 0}

    def count(self, peer: str) -> None:
        """One more."""
        with self._lock:
            self._counts[peer] += 1

    def take(self) -> dict[str, int]:
        """The counts, which start again at zero."""
        with self._lock:
            taken = dict(self._counts)
            self._counts = dict.fromkeys(self._counts, 0)
        return taken


class Exchange:
    """Sends requests and judges the answers; shared by all clients and threads."""

    def __init__(
        self, transport: Transport, clock: Clock, *, endpoint: str, stop: Optional[Stop] = None
    ) -> None:
        self._transport = transport
        self._clock = clock
        self.stop = stop
        self._endpoint = endpoint
        self.io_errors = IoErrors()

    def send(
        self,
        request: Request,
        *,
        policy: Policy = DEFAULT,
        again: frozenset[int] = AGAIN,
        accept: frozenset[int] = OK,
        sink: Optional[BinaryIO] = None,
    ) -> Response:
        """The first answer whose status is in ``accept``.

        Raises ``StaleGoalState`` at once for 410 and for 400 naming an invalid container,
        ``HttpStatus`` at once for a status that is not in ``again``, and after the policy's
        attempts the last error: ``Throttled``, ``HttpStatus`` or ``Unreachable``.
        """

        if request.via_proxy and self._is_platform(request.url):
            request = replace(request, via_proxy=False)

        def once() -> Response:
            if sink is not None:
                sink.seek(0)
                sink.truncate()
            response = self.send_once(request, sink)
            if response.status not in accept:
                raise _error(request, response, again)
            return response

        try:
            return retry.call(
                once, partial(_judge, again), policy=policy, clock=self._clock, stop=self.stop
            )
        except HttpError as error:
            made = error.facts.get("attempts")
            if made:
                error.message += f" -- {made} attempts made"
            raise

    def send_once(self, request: Request, sink: Optional[BinaryIO] = None) -> Response:
        """One attempt and its answer, whatever the status; raises as ``Transport.send``."""
        try:
            return self._transport.send(request, sink)
        except Unreachable as error:
            self._count(request, error)
            raise

    def _count(self, request: Request, error: Unreachable) -> None:
        """An answer that is no HTTP is no I/O error, and neither is that we are to stop."""
        if not isinstance(error, (Garbled, RequestStopped)):
            self.io_errors.count(self._peer(request.url))

    def _is_platform(self, url: str) -> bool:
        """Whether it leads to the host itself, where no proxy does, whoever gave us the URL."""
        try:
            host = urlsplit(url).hostname
        except ValueError:
            return False  # the transport says what is wrong with it
        return host == self._endpoint or host in PLATFORM

    def _peer(self, url: str) -> str:
        parts = urlsplit(url)
        if parts.hostname != self._endpoint:
            return "other"
        return "hostplugin" if parts.port == HOST_PLUGIN_PORT else "protocol"


def describe_response(response: Response) -> str:
    """``[HTTP Failed] [404: Not Found] b'...'``, the start of the body included (WIRE 2.7)."""
    return f"[HTTP Failed] [{response.status}: {response.reason}] {response.body[:1024]!r}"


def find_sample(error: AgentError) -> Optional[bool]:
    """What a failure says of the host's health; ``None`` if it says nothing (WIRE 6.6).

    Only an answer that was taken as it came is a sample: not one that was asked for again and
    again, nor one that says that we moved. 502 is the fault of what is behind the host.
    """
    if not isinstance(error, HttpStatus) or isinstance(error, StaleGoalState):
        return None
    if "attempts" in error.facts:
        return None
    return error.status < 500 or error.status == 502


def _judge(again: frozenset[int], error: AgentError) -> Verdict:
    if isinstance(error, RequestStopped):
        return Verdict.FINAL
    if isinstance(error, Throttled):
        return Verdict.THROTTLED
    if isinstance(error, Unreachable):
        return Verdict.AGAIN
    if isinstance(error, HttpStatus) and error.status in again:
        return Verdict.AGAIN
    return Verdict.FINAL


def _error(request: Request, response: Response, again: frozenset[int]) -> HttpStatus:
    status = response.status
    where = {"method": request.method, "url": without_query(request.url)}
    if status == 410:
        return StaleGoalState(
            describe_response(response), status=status, body=response.body, **where
        )
    if status == 400 and 400 not in again and STALE_CONTAINER in response.body:
        return InvalidContainer(
            describe_response(response), status=status, body=response.body, **where
        )
    if status in again:
        kind = Throttled if status in THROTTLED else HttpStatus
        text = f"[HTTP Retry] {request.method} {where['url']} -- Status Code {status}"
        return kind(text, status=status, body=response.body, **where)
    return HttpStatus(describe_response(response), status=status, body=response.body, **where)
