"""Operations that announce themselves: one log line for people, one telemetry event for Azure.

An event is complete when it is written: a file in the spool, with all common parameters.
Collecting and sending is the monitor's work. Source: spec WIRE 8.5, 8.6 and 8.8.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

from waagent.core.clock import Clock, timestamp
from waagent.core.errors import describe, for_fabric
from waagent.core.event_status import StatusTransitions
from waagent.core.operations import Op
from waagent.core.records import dataclass, replace
from waagent.core.redact import redact
from waagent.core.spool import Spool
from waagent.core.version import AGENT_NAME, AGENT_VERSION

log = logging.getLogger(__name__)

AGENT_PROVIDER = "69B669B9-4AF8-4C50-BDC4-6006FA76E975"
LOG_PROVIDER = "FFF0196F-EE4C-4EAF-9AA5-776F622DEB4F"
AGENT_EVENT = 1
METRIC_EVENT = 4
LOG_EVENT = 7
ZERO_GUID = "00000000-0000-0000-0000-000000000000"
MEMORY = 1000

Parameters = list[tuple[str, Any]]

__all__ = [
    "AGENT_EVENT",
    "AGENT_PROVIDER",
    "Attempt",
    "CommonParameters",
    "Events",
    "LOG_EVENT",
    "LOG_PROVIDER",
    "METRIC_EVENT",
    "Op",
]


@dataclass(frozen=True)
class CommonParameters:
    """What every event says of this machine; unknown names stay ``..._UNINITIALIZED``."""

    ga_version: str = f"{AGENT_NAME}-{AGENT_VERSION}"
    container_id: str = ZERO_GUID
    os_version: str = ""
    ram_mb: int = 0
    processors: int = 0
    architecture: str = ""
    tenant_name: Optional[str] = "TenantName_UNINITIALIZED"
    role_name: Optional[str] = "RoleName_UNINITIALIZED"
    role_instance_name: str = "RoleInstanceName_UNINITIALIZED"
    location: str = "Location_UNINITIALIZED"
    subscription_id: str = "SubscriptionId_UNINITIALIZED"
    resource_group: str = "ResourceGroupName_UNINITIALIZED"
    vm_id: str = "VMId_UNINITIALIZED"
    image_origin: int = 0

    def parameters(self, moment: str, *, agent_event: bool, extension_type: str = "") -> Parameters:
        """Name and value of parameters 7 to 27 (spec WIRE 8.5), in the order of the table.

        ``extension_type`` tells a collected extension's event (``json``) from the agent's own.
        """
        here = threading.current_thread()
        kind: Parameters = (
            [("ExtensionType", extension_type), ("IsInternal", False)] if agent_event else []
        )
        return [
            ("GAVersion", self.ga_version),
            ("ContainerId", self.container_id),
            ("OpcodeName", moment),
            ("EventTid", here.native_id or 0),
            ("EventPid", os.getpid()),
            ("TaskName", here.name),
            *kind,
            ("OSVersion", self.os_version),
            ("ExecutionMode", "IAAS"),
            ("RAM", self.ram_mb),
            ("Processors", self.processors),
            ("KeywordName", json.dumps({"CpuArchitecture": self.architecture})),
            ("TenantName", self.tenant_name),
            ("RoleName", self.role_name),
            ("RoleInstanceName", self.role_instance_name),
            ("Location", self.location),
            ("SubscriptionId", self.subscription_id),
            ("ResourceGroupName", self.resource_group),
            ("VMId", self.vm_id),
            ("ImageOrigin", self.image_origin),
        ]


@dataclass
class Attempt:
    """What an operation may say of itself while it runs."""

    message: str = ""


class Events:
    """The agent's voice: adds events to the spool, and times operations.

    One object for all threads of a process; the common parameters behind it are replaced as
    they become known. ``status_file`` is where the outcome of status reports is remembered.
    """

    def __init__(self, spool: Path, clock: Clock, *, status_file: Optional[Path] = None) -> None:
        self._spool = Spool(spool, clock)
        self._clock = clock
        self._lock = threading.Lock()
        self._common = CommonParameters()
        self._transitions = StatusTransitions(status_file)
        self._said: dict[tuple[str, Op, bool, str], float] = {}

    @property
    def common(self) -> CommonParameters:
        """The common parameters as far as they are known now."""
        return self._common

    @property
    def lost(self) -> int:
        """How many events could not be kept since ``take_lost``."""
        return self._spool.lost

    def take_lost(self) -> int:
        """How many events could not be kept since the last call."""
        return self._spool.take_lost()

    def learn(self, **known: Any) -> None:
        """Replace common parameters by what was learned, for all events from now on."""
        with self._lock:
            self._common = replace(self._common, **known)

    def add(
        self,
        op: Op,
        message: str = "",
        *,
        success: bool = True,
        name: str = AGENT_NAME,
        version: str = AGENT_VERSION,
        duration_ms: int = 0,
        quiet: bool = False,
        every_s: float = 0.0,
    ) -> None:
        """Spool one event; a failure is also logged as an error unless ``quiet``.

        The same event is added at most once in ``every_s``; ``ReportStatus`` only when its
        outcome changes (spec WIRE 7.6).
        """
        if every_s and not self._is_due((name, op, success, message), every_s):
            return
        if op is Op.REPORT_STATUS and not self._transitions.changed(name, version, success=success):
            return
        if not success and not quiet:
            log.error(
                "Event: name=%s, op=%s, message=%s, duration=%d",
                name,
                op.value,
                message,
                duration_ms,
            )
        parameters: Parameters = [
            ("Name", name),
            ("Version", version),
            ("Operation", op.value),
            ("OperationSuccess", success),
            ("Message", redact(message)),
            ("Duration", duration_ms),
        ]
        parameters += self._common.parameters(self._now(), agent_event=True)
        self.write(AGENT_EVENT, AGENT_PROVIDER, parameters)

    def add_metric(self, category: str, counter: str, instance: str, value: float) -> None:
        """Spool one measured figure."""
        parameters: Parameters = [
            ("Category", category),
            ("Counter", counter),
            ("Instance", instance),
            ("Value", float(value)),
        ]
        parameters += self._common.parameters(self._now(), agent_event=False)
        self.write(METRIC_EVENT, AGENT_PROVIDER, parameters)

    def add_log(self, level: str, message: str) -> None:
        """Spool one line of the log, for the few that the service must see."""
        moment = self._now()
        parameters: Parameters = [
            ("EventName", Op.LOG.value),
            ("CapabilityUsed", level),
            ("Context1", redact(message)),
            ("Context2", moment),
            ("Context3", ""),
        ]
        parameters += self._common.parameters(moment, agent_event=False)
        self.write(LOG_EVENT, LOG_PROVIDER, parameters)

    @contextlib.contextmanager
    def operation(
        self, op: Op, what: str, *, name: str = AGENT_NAME, version: str = AGENT_VERSION
    ) -> Iterator[Attempt]:
        """Log, time and report what the block does; an error passes on, reported as a failure.

        ``what`` completes "Started to ..." in the log. The block may set ``attempt.message``.
        """
        attempt = Attempt()
        log.info("Started to %s", what)
        start = self._clock.monotonic()
        try:
            yield attempt
        except Exception as error:  # passed on: a defect is a failure that must be reported too
            took_ms = int((self._clock.monotonic() - start) * 1000)
            log.error("Failed to %s: %s", what, describe(error))
            self.add(
                op,
                for_fabric(error),
                success=False,
                name=name,
                version=version,
                duration_ms=took_ms,
                quiet=True,
            )
            raise
        took_ms = int((self._clock.monotonic() - start) * 1000)
        log.info("Finished to %s (%d ms)", what, took_ms)
        self.add(op, attempt.message, name=name, version=version, duration_ms=took_ms)

    def write(self, event_id: int, provider: str, parameters: Parameters) -> None:
        """Spool an event whose parameters are complete; what cannot be written is counted."""
        self._spool.write(
            {
                "eventId": event_id,
                "providerId": provider,
                "parameters": [{"name": key, "value": value} for key, value in parameters],
                "file_type": "",
            }
        )

    def _now(self) -> str:
        return timestamp(self._clock.now())

    def _is_due(self, key: tuple[str, Op, bool, str], every_s: float) -> bool:
        now = self._clock.monotonic()
        with self._lock:
            last = self._said.get(key)
            if last is not None and now - last < every_s:
                return False
            if len(self._said) >= MEMORY:
                self._said.clear()
            self._said[key] = now
        return True
