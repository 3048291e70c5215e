"""What can go wrong on the way, as named values, and the board on which they are switched on."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any, Optional

from tests.fabric.journal import matches

REFUSE, RESET_PEER, WAIT, HANG_UP, SPOIL = "refuse", "reset", "wait", "cut", "spoil"
PAUSE = "pause"
UNTIL_CLEARED = -1


@dataclass(frozen=True)
class Fault:
    """One kind of failure; `count` is how often it strikes before it is gone."""

    name: str
    kind: str
    status: int = 0
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    delay_s: float = 0.0
    count: int = UNTIL_CLEARED


def _json_error(code: str, message: str) -> bytes:
    return f'{{ "errorCode": "{code}", "message": "{message}" }}'.encode()


UNAVAILABLE = Fault("UNAVAILABLE", REFUSE, 503, b"The service is unavailable.")
UNAVAILABLE_ONCE = replace(UNAVAILABLE, name="UNAVAILABLE_ONCE", count=1)
BROKEN = Fault("BROKEN", REFUSE, 500, b"Internal server error")
BAD_GATEWAY = Fault("BAD_GATEWAY", REFUSE, 502, b"Upstream failed")
FORBIDDEN = Fault("FORBIDDEN", REFUSE, 403, b"Forbidden")
NOT_FOUND = Fault("NOT_FOUND", REFUSE, 404, b"Not found")
GONE = Fault(
    "GONE", REFUSE, 410, _json_error("RequestRoleConfigFileNotFound", "The resource is gone.")
)
THROTTLED = Fault("THROTTLED", REFUSE, 429, b"Too many requests", (("Retry-After", "1"),))
WRONG_CONTAINER = Fault(
    "WRONG_CONTAINER", REFUSE, 400, _json_error("InvalidContainerConfiguration", "Invalid request.")
)
BAD_REQUEST = Fault("BAD_REQUEST", REFUSE, 400, b"Bad request")
RESET = Fault("RESET", RESET_PEER)
SLOW = Fault("SLOW", WAIT, delay_s=2.0)
HANG = Fault("HANG", WAIT, delay_s=3600.0)
CUT_SHORT = Fault("CUT_SHORT", HANG_UP)
STALL = Fault("STALL", PAUSE, delay_s=3600.0)
NOT_XML = Fault("NOT_XML", SPOIL, body=b"<GoalState><this is & not XML")
WRONG_CONTENT = Fault("WRONG_CONTENT", SPOIL, body=b"<?xml version='1.0'?><html><body/></html>")

NAMED: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        UNAVAILABLE, UNAVAILABLE_ONCE, BROKEN, BAD_GATEWAY, FORBIDDEN, NOT_FOUND, GONE, THROTTLED,
        WRONG_CONTAINER, BAD_REQUEST, RESET, SLOW, HANG, STALL, CUT_SHORT, NOT_XML, WRONG_CONTENT,
    )
}  # fmt: skip


@dataclass
class _Rule:
    endpoint: str
    fault: Fault
    left: int
    cleared: threading.Event


class FaultBoard:
    """Which endpoint fails how, and how often still."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []

    def set(self, endpoint: str, fault: Fault, count: Optional[int] = None) -> None:
        """Switch a fault on for an endpoint or a prefix such as `storage.`; later ones go first."""
        left = fault.count if count is None else count
        with self._lock:
            self._rules.insert(0, _Rule(alias(endpoint), fault, left, threading.Event()))

    def clear(self, endpoint: Optional[str] = None) -> None:
        """Switch off the faults of one endpoint or prefix as it was given, or all of them."""
        with self._lock:
            gone = [r for r in self._rules if endpoint is None or r.endpoint == alias(endpoint)]
            self._rules = [r for r in self._rules if r not in gone]
        for rule in gone:
            rule.cleared.set()

    def take(self, endpoint: str) -> Optional[Strike]:
        """The fault that strikes this request, counted; None when all is well."""
        with self._lock:
            for rule in self._rules:
                if rule.left != 0 and matches(rule.endpoint, endpoint):
                    rule.left -= 1 if rule.left > 0 else 0
                    return Strike(rule.fault, rule.cleared)
        return None

    def list(self) -> list[dict[str, Any]]:
        """What is switched on, as JSON values."""
        with self._lock:
            return [
                {"endpoint": r.endpoint, "fault": r.fault.name, "left": r.left}
                for r in self._rules
                if r.left
            ]


@dataclass(frozen=True)
class Strike:
    """A fault about to be applied; `cleared` ends its waiting early."""

    fault: Fault
    cleared: threading.Event


def alias(endpoint: str) -> str:
    """The recordings' name of an endpoint that has a shorter one too."""
    return {"hgap.artifact": "hgap.extensionartifact"}.get(endpoint, endpoint)
