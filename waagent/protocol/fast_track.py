"""vmSettings, the goal state by way of the host: asked for, remembered, compared.

Source: spec WIRE 4. What is adopted of it is decided in ``store.py``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import uuid
from typing import Optional

from waagent.core import files
from waagent.core.clock import Clock, timestamp
from waagent.core.errors import AgentError, DocumentError, HttpError
from waagent.core.events import Events, Op
from waagent.core.http import Response
from waagent.core.paths import Paths
from waagent.core.records import dataclass
from waagent.protocol.documents.extensions import GoalStateSource
from waagent.protocol.documents.json_fields import Fields, parse_json
from waagent.protocol.documents.ticks import MIN_TIMESTAMP
from waagent.protocol.documents.vm_settings import VmSettings, parse_vm_settings
from waagent.protocol.errors import ProtocolFault
from waagent.protocol.exchange import describe_response
from waagent.protocol.fast_track_errors import Category, FastTrackErrors, category_of_status
from waagent.protocol.host import Host

log = logging.getLogger(__name__)

ASK_AGAIN_S = 6 * 3600.0
LARGEST_RECORD = 64 * 1024


class SupportStopped(AgentError):
    """The host served vmSettings and does no longer: the VM moved to an older one (WIRE 3.5)."""

    label = "VmSettingsSupportStopped"

    def __init__(self, timestamp: str) -> None:
        super().__init__("the host does not support vmSettings any longer")
        self.timestamp = timestamp


class UnreadableSettings(DocumentError):
    """The answer cannot be read; it is kept for people, once for each ETag."""

    label = "VmSettingsParseError"

    def __init__(self, message: str, etag: str, raw: bytes) -> None:
        super().__init__(message)
        self.etag = etag
        self.raw = raw


@dataclass(frozen=True)
class Fetched:
    """One answer: the settings, their raw text, and whether they are new since the last."""

    settings: VmSettings
    etag: str
    raw: bytes
    is_updated: bool


class FastTrack:
    """Asks the host for vmSettings; remembers the last ones and whether they are supported."""

    def __init__(
        self, host: Host, paths: Paths, events: Events, clock: Clock, *, is_enabled: bool = True
    ) -> None:
        self._host = host
        self._paths = paths
        self._events = events
        self._clock = clock
        self._cached: Optional[Fetched] = None
        self._plugin_version = ""
        self._ask_from = clock.monotonic()
        self._errors = FastTrackErrors(events, clock)
        self.is_enabled = is_enabled
        self.is_supported = is_enabled and paths.fast_track.exists()

    def fetch(self, *, force: bool) -> Optional[Fetched]:
        """The settings, or ``None`` when the host does not support them.

        Raises ``SupportStopped`` when it did before, ``ProtocolFault`` when it cannot be asked
        and ``UnreadableSettings`` when the answer cannot be read: then the whole update fails.
        """
        if not self.is_enabled:
            return None
        if not self.is_supported and self._clock.monotonic() < self._ask_from:
            return None
        try:
            return self._fetch(None if force or self._cached is None else self._cached.etag)
        finally:
            self._errors.report_if_due()

    def _fetch(self, etag: Optional[str]) -> Optional[Fetched]:
        self._errors.count_request()
        response, name = self._ask(etag)
        if response.status == 304 and self._cached is not None:
            self._cached = Fetched(
                self._cached.settings, self._cached.etag, self._cached.raw, is_updated=False
            )
            return self._cached
        if response.status == 404:
            self._give_up("")
            return None
        if response.status != 200:
            prefix = "[Internal error in HostGAPlugin] " if response.status == 502 else ""
            text = f"{name}: {prefix}{describe_response(response)}"
            self._errors.count(category_of_status(response.status), text)
            raise ProtocolFault(text)
        return self._accept(response)

    def timestamp(self) -> str:
        """When the newest fast-track goal state was made; unreadable counts as now (WIRE 4.6)."""
        try:
            data = files.read(self._paths.fast_track, limit=LARGEST_RECORD)
            return Fields(parse_json(data, "fast_track.json"), "fast_track.json").text("timestamp")
        except FileNotFoundError:
            return MIN_TIMESTAMP
        except (OSError, AgentError):
            return timestamp(self._clock.now())

    def forget(self) -> None:
        """Drop the record on disk, once an outdated goal state was reported."""
        with contextlib.suppress(OSError):
            files.remove(self._paths.fast_track)

    def _ask(self, etag: Optional[str]) -> tuple[Response, str]:
        """The answer, asked for again once when the container moved, and what to call it."""
        for _ in range(2):
            correlation = str(uuid.uuid4())
            name = f"GET vmSettings [correlation ID: {correlation} eTag: {etag}]"
            identity = self._host.identity
            try:
                response = self._host.plugin.fetch_vm_settings(identity, correlation, etag)
            except HttpError as error:
                is_late = "timed out" in error.message
                text = f"{name}: " + ("Timeout" if is_late else f"Request failed: {error.message}")
                self._errors.count(Category.TIMEOUT if is_late else Category.REQUEST, text)
                raise ProtocolFault(text) from error
            if response.status != 410:
                return response, name
            self._host.refresh()
        raise ProtocolFault(f"{name}: {describe_response(response)}")

    def _accept(self, response: Response) -> Optional[Fetched]:
        etag = response.header("ETag")
        if etag is None:
            raise ProtocolFault("The vmSettings response does not include an Etag header")
        try:
            settings = parse_vm_settings(response.body).with_etag(etag)
        except DocumentError as error:
            version = self._plugin_version or "unknown"
            raise UnreadableSettings(
                f"Error parsing vmSettings [HGAP: {version} Etag:{etag}]: {error.message}",
                etag,
                response.body,
            ) from error
        if settings.host_plugin_version != self._plugin_version:
            self._plugin_version = settings.host_plugin_version
            text = f"HostGAPlugin version: {self._plugin_version}"
            log.info("%s", text)
            self._events.add(Op.HOST_PLUGIN, text)
        if not settings.is_supported_version:
            self._give_up(settings.host_plugin_version)
            return None
        self.is_supported = True
        self._cached = Fetched(settings, etag, response.body, is_updated=True)
        self._record(settings)
        return self._cached

    def _record(self, settings: VmSettings) -> None:
        try:
            if settings.extensions.source is GoalStateSource.FAST_TRACK:
                text = json.dumps({"timestamp": settings.extensions.created_on})
                files.write(self._paths.fast_track, text)
            else:
                files.remove(self._paths.fast_track)
        except OSError as error:
            log.warning(
                "Cannot record the fast-track time in %s: %s", self._paths.fast_track, error
            )

    def _give_up(self, version: str) -> None:
        stopped = self.is_supported
        self.is_supported = False
        self._cached = None
        self._ask_from = self._clock.monotonic() + ASK_AGAIN_S
        name = "[VmSettingsSupportStopped]" if stopped else "[VmSettingsNotSupported]"
        text = f"{name} HostGAPlugin: {version or self._plugin_version or 'unknown'}"
        log.log(logging.WARNING if stopped else logging.INFO, "%s", text)
        self._events.add(Op.VM_SETTINGS, text, success=not stopped, quiet=True)
        if stopped:
            raise SupportStopped(self.timestamp())
