"""Operations that announce themselves: one log line for people, one telemetry event for Azure.

An event is complete when it is written: a file in the spool, with all common parameters.
Collecting and sending is the monitor's work. Source: spec WIRE 8.5, 8.6 and 8.8.
"""

from __future__ import annotations

import contextlib
import enum
import json
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

from waagent.core import files
from waagent.core.clock import Clock, timestamp
from waagent.core.errors import AgentError, describe
from waagent.core.redact import redact
from waagent.core.version import AGENT_NAME, AGENT_VERSION

log = logging.getLogger(__name__)

AGENT_PROVIDER = "69B669B9-4AF8-4C50-BDC4-6006FA76E975"
LOG_PROVIDER = "FFF0196F-EE4C-4EAF-9AA5-776F622DEB4F"
AGENT_EVENT = 1
METRIC_EVENT = 4
LOG_EVENT = 7
SUFFIX = ".waagent.tld"
SPOOL_LIMIT = 1000
ZERO_GUID = "00000000-0000-0000-0000-000000000000"


class Op(enum.Enum):
    """Operation names as the fabric knows them (spec WIRE 8.8)."""

    ACTIVATE_RESOURCE_DISK = "ActivateResourceDisk"
    AGENT_DISABLED = "AgentDisabled"
    AGENT_ENABLED = "AgentEnabled"
    AGENT_UPGRADE = "AgentUpgrade"
    ARTIFACTS_PROFILE = "ArtifactsProfileBlob"
    CLOUD_INIT = "CloudInit"
    COLLECT_EVENT_ERRORS = "CollectEventErrors"
    CONFIGURATION_CHANGE = "ConfigurationChange"
    CUSTOM_DATA = "CustomData"
    DEFAULT_CHANNEL_CHANGE = "DefaultChannelChange"
    DISABLE = "Disable"
    DOWNLOAD = "Download"
    ENABLE = "Enable"
    EXTENSION_PROCESSING = "ExtensionProcessing"
    EXTENSION_SIGNED = "ExtensionSigned"
    EXTENSION_TELEMETRY = "ExtensionTelemetryEventProcessing"
    FETCH_GOAL_STATE = "FetchGoalState"
    FIREWALL = "Firewall"
    GOAL_STATE = "GoalState"
    GOAL_STATE_CERTIFICATES = "GoalStateCertificates"
    GOAL_STATE_UNSUPPORTED_FEATURES = "GoalStateUnsupportedFeatures"
    HEALTH_CHECK = "HealthCheck"
    HEALTH_OBSERVATION = "HealthObservation"
    HEARTBEAT = "HeartBeat"
    HOST_PLUGIN = "HostPlugin"
    HOST_PLUGIN_HEARTBEAT = "HostPluginHeartbeat"
    HOST_PLUGIN_HEARTBEAT_EXTENDED = "HostPluginHeartbeatExtended"
    HOSTNAME_PUBLISHING = "HostnamePublishing"
    HTTP_ERRORS = "HttpErrors"
    HTTP_GET = "HttpGet"
    IMDS_HEARTBEAT = "ImdsHeartbeat"
    INITIALIZE_HOST_PLUGIN = "InitializeHostPlugin"
    INSTALL = "Install"
    INVALID_EXTENSION_CONFIG = "InvalidExtensionConfig"
    LOG = "Log"
    OPEN_SSL = "OpenSsl"
    OS_INFO = "OSInfo"
    PLUGIN_SETTINGS_MISMATCH = "PluginSettingsVersionMismatch"
    PROTOCOL_ENDPOINT = "ProtocolEndpoint"
    PROVISION = "Provision"
    PROVISION_AFTER_EXTENSIONS = "ProvisionAfterExtensions"
    PROVISION_GUEST_AGENT = "ProvisionGuestAgent"
    REMOTE_ACCESS = "RemoteAccessHandling"
    REPORT_EVENT_ERRORS = "ReportEventErrors"
    REPORT_STATUS = "ReportStatus"
    REPORT_STATUS_EXTENDED = "ReportStatusExtended"
    REQUESTED_STATE_DISABLED = "RequestedStateDisabled"
    RESTART = "Restart"
    STATUS_PROCESSING = "StatusProcessing"
    UNHANDLED_ERROR = "UnhandledError"
    UNINSTALL = "UnInstall"
    UPDATE = "Update"
    VM_SETTINGS = "VmSettings"
    VM_SETTINGS_SUMMARY = "VmSettingsSummary"


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

    def parameters(self, moment: str, *, agent_event: bool) -> list[tuple[str, Any]]:
        """Name and value of parameters 7 to 27 (spec WIRE 8.5), in the order of the table."""
        here = threading.current_thread()
        kind: list[tuple[str, Any]] = (
            [("ExtensionType", ""), ("IsInternal", False)] if agent_event else []
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
    quiet: bool = False
    facts: dict[str, object] = field(default_factory=dict)


class Events:
    """The agent's voice: adds events to the spool, and times operations.

    One object for all threads of a process; the common parameters behind it are replaced as
    they become known.
    """

    def __init__(self, spool: Path, clock: Clock) -> None:
        self._spool = spool
        self._clock = clock
        self._lock = threading.Lock()
        self._common = CommonParameters()
        self._last_name = 0
        self.lost = 0

    @property
    def common(self) -> CommonParameters:
        """The common parameters as far as they are known now."""
        return self._common

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
    ) -> None:
        """Spool one event; a failure is also logged as an error unless ``quiet``."""
        if not success and not quiet:
            log.error(
                "Event: name=%s, op=%s, message=%s, duration=%d",
                name,
                op.value,
                message,
                duration_ms,
            )
        parameters: list[tuple[str, Any]] = [
            ("Name", name),
            ("Version", version),
            ("Operation", op.value),
            ("OperationSuccess", success),
            ("Message", redact(message)),
            ("Duration", duration_ms),
        ]
        moment = timestamp(self._clock.now())
        parameters += self._common.parameters(moment, agent_event=True)
        self.write(AGENT_EVENT, AGENT_PROVIDER, parameters)

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
        except AgentError as error:
            took_ms = int((self._clock.monotonic() - start) * 1000)
            log.error("Failed to %s: %s", what, describe(error))
            self.add(
                op,
                error.for_fabric(),
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

    def write(self, event_id: int, provider: str, parameters: list[tuple[str, Any]]) -> None:
        """Spool an event whose parameters are complete; what cannot be written is counted."""
        document = {
            "eventId": event_id,
            "providerId": provider,
            "parameters": [{"name": key, "value": value} for key, value in parameters],
            "file_type": "",
        }
        with self._lock:
            try:
                files.ensure_directory(self._spool, mode=0o700)
                self._make_room()
                path = self._spool / f"{self._next_name()}{SUFFIX}"
                partial = path.with_name(path.name.replace(SUFFIX, ".tmp"))
                partial.write_text(json.dumps(document), encoding="utf-8")
                partial.replace(path)
            except (OSError, AgentError):
                self.lost += 1  # a full disk must not stop the work that is being reported

    def _make_room(self) -> None:
        names = sorted(entry.name for entry in os.scandir(self._spool))
        excess = len(names) - (SPOOL_LIMIT - 1)
        for name in names[: max(0, excess)]:
            files.remove(self._spool / name)

    def _next_name(self) -> int:
        micros = int(self._clock.now().timestamp() * 1_000_000)
        self._last_name = max(micros, self._last_name + 1)
        return self._last_name
