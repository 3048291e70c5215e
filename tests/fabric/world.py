"""What the servers share while the fabric runs: the model, the keys, the blobs, the reports."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, Optional

from tests.fabric.addresses import Addresses
from tests.fabric.certificates import OBSERVED_TRANSPORT, first_set
from tests.fabric.faults import FaultBoard
from tests.fabric.model import Vm
from tests.fabric.sealing import Sealer


@dataclass(frozen=True)
class HealthReport:
    """One health report of the guest, read."""

    incarnation: str
    state: str
    sub_status: Optional[str] = None
    description: Optional[str] = None


@dataclass
class Blob:
    """A blob as storage holds it."""

    kind: str
    content: bytes


@dataclass
class Received:
    """What the guest reported, the newest last."""

    health: list[HealthReport] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    observations: list[dict[str, Any]] = field(default_factory=list)
    role_properties: list[dict[str, str]] = field(default_factory=list)
    logs: list[bytes] = field(default_factory=list)


class World:
    """The shared state; whoever reads several things that belong together holds the lock."""

    def __init__(self, vm: Vm, addresses: Addresses) -> None:
        self.lock = threading.RLock()
        self.vm = vm
        self.addresses = addresses
        self.sealer = Sealer(first_set())
        self.transport = dict(OBSERVED_TRANSPORT)
        self.board = FaultBoard()
        self.blobs: dict[str, Blob] = {}
        self.packages: dict[tuple[str, str], bytes] = {}
        self.received = Received()
        self.telemetry_limit: Optional[int] = None
        self._revision = vm.incarnation

    def next_revision(self) -> int:
        """The number of the next change, whichever channel it goes out by."""
        with self.lock:
            self._revision += 1
            return self._revision
