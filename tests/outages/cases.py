"""The rows: which fault on which endpoint, and how a fault is in compressed time."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.fabric.faults import NAMED, PAUSE, RESET_PEER, WAIT, Fault

ALL = "everything"
BOTH_STATUS_WAYS = "hgap.status and storage.system"
ARTIFACT = "hgap.extensionartifact"
ENDPOINTS = (
    ALL,
    "wire.",
    "wire.goalstate",
    "wire.extensionsconfig",
    "wire.certificates",
    "wire.telemetry",
    "wire.healthservice",
    "hgap.",
    "hgap.vmsettings",
    ARTIFACT,
    "hgap.status",
    BOTH_STATUS_WAYS,
    "storage.",
    "imds.",
)
PATIENCE_S = 10.0
"""How long a request waits for a peer that hangs (WIRE 2.5)."""


@dataclass(frozen=True)
class Case:
    """A fault on an endpoint, until it is cleared."""

    fault: str
    endpoint: str

    @property
    def faults(self) -> tuple[tuple[str, Fault], ...]:
        """What is switched on, as it is in compressed time."""
        fault = compressed(NAMED[self.fault])
        if self.endpoint == ALL:
            return (("", fault),)
        if self.endpoint == BOTH_STATUS_WAYS:
            return (("hgap.status", fault), ("storage.system", fault))
        if self.endpoint == ARTIFACT:  # only asked where storage itself is out of reach
            down = NAMED["NOT_FOUND"]
            return ((ARTIFACT, fault), ("storage.manifests", down), ("storage.packages", down))
        return ((self.endpoint, fault),)


def every_case() -> tuple[Case, ...]:
    """All rows, by endpoint."""
    return tuple(Case(fault, endpoint) for endpoint in ENDPOINTS for fault in NAMED)


def compressed(fault: Fault) -> Fault:
    """The fault for a transport that lets the time of a wait pass at once (``hour.py``)."""
    if fault.kind == PAUSE or (fault.kind == WAIT and fault.delay_s > PATIENCE_S):
        return replace(fault, kind=RESET_PEER)
    return replace(fault, delay_s=0.0)


def delay_of(name: str) -> float:
    """How long a request that this fault struck takes in compressed time, seconds."""
    fault = NAMED[name]
    return min(fault.delay_s, PATIENCE_S) if fault.kind in {WAIT, PAUSE} else 0.0
