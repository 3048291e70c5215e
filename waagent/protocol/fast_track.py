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
from waagent.core.errors import AgentError, DocumentError, HttpError, RequestStopped, describe
from waagent.core.events import Events, Op
from waagent.core.http import Response
from waagent.core.later import Later
from waagent.core.paths import Paths
from waagent.core.records import dataclass
from waagent.core.version import Version
from waagent.protocol.documents.extensions import ExtensionsGoalState, GoalStateSource
from waagent.protocol.documents.json_fields import Fields, parse_json
from waagent.protocol.documents.ticks import MIN_TIMESTAMP
from waagent.protocol.documents.vm_settings import (
    MIN_PLUGIN_VERSION,
    is_supported,
    parse_vm_settings,
)
from waagent.protocol.errors import ProtocolFault
from waagent.protocol.exchange import describe_response
from waagent.protocol.fast_track_errors import Category, FastTrackErrors, category_of_status
from waagent.protocol.host import Host

log = logging.getLogger(__name__)

ASK_AGAIN_S = 6 * 3600.0
DO_WITHOUT_AFTER_S = 300.0
DO_WITHOUT_PAUSE_S = 60.0
NO_VERSION = "0.0.0.0"
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
    """One answer: the settings and their raw text; the very same as long as they are not new."""

    settings: ExtensionsGoalState
    etag: str
    raw: bytes


class FastTrack:
    """Asks the host for vmSettings; remembers the last ones and whether they are supported.

    What counts is remembered in memory; the record on disk is for the next process.
    """

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
        self._newest: Optional[str] = None
        self._failing_since: Optional[float] = None
        self._next = Later(clock, first_s=DO_WITHOUT_PAUSE_S, most_s=DO_WITHOUT_PAUSE_S)
        self.is_enabled = is_enabled
        self.is_supported = is_enabled and paths.fast_track.exists()

    def fetch(self, *, force: bool) -> Optional[Fetched]:
        """The settings, or ``None`` when the host does not support them.

        Raises ``SupportStopped`` when it did before, ``ProtocolFault`` when it cannot be asked
        and ``UnreadableSettings`` when the answer cannot be read: then the whole update fails,
        unless it is ``given_up``.
        """
        if not self.is_enabled:
            return None
        if not self.is_supported and self._clock.monotonic() < self._ask_from:
            return None
        if self.is_given_up and not self._next.is_due:
            return self.remembered
        try:
            fetched = self._fetch(None if force or self._cached is None else self._cached.etag)
        except SupportStopped:
            self._failing_since = None
            raise
        except AgentError:
            self._count_failure()
            raise
        finally:
            self._errors.report_if_due()
        self._failing_since = None
        return fetched

    @property
    def is_given_up(self) -> bool:
        """Whether asking has failed for so long that the fabric's goal state has to do alone.

        Some hosts answer with 500 for ever where 404 was meant; a machine must not wait for them.
        """
        since = self._failing_since
        return since is not None and self._clock.monotonic() - since >= DO_WITHOUT_AFTER_S

    @property
    def remembered(self) -> Optional[Fetched]:
        """The settings that were good last, as if the host had said that they are unchanged."""
        return self._cached

    def _count_failure(self) -> None:
        if self._failing_since is None:
            self._failing_since = self._clock.monotonic()
        self._next.postpone()

    def _fetch(self, etag: Optional[str]) -> Optional[Fetched]:
        self._errors.count_request()
        response, name = self._ask(etag)
        if response.status == 304 and self._cached is not None:
            return self.remembered
        if response.status == 404:
            self._give_up("")
            return None
        if response.status != 200:
            prefix = "[Internal error in HostGAPlugin] " if response.status == 502 else ""
            text = f"{name}: {prefix}{describe_response(response)}"
            self._errors.count(category_of_status(response.status), text)
            raise ProtocolFault(text)
        return self._accept(response, asked_with=etag)

    def timestamp(self) -> str:
        """When the newest fast-track goal state was made; unreadable counts as now (WIRE 4.6)."""
        if self._newest is not None:
            return self._newest
        try:
            data = files.read(self._paths.fast_track, limit=LARGEST_RECORD)
            return Fields(parse_json(data, "fast_track.json"), "fast_track.json").text("timestamp")
        except FileNotFoundError:
            return MIN_TIMESTAMP
        except (OSError, AgentError):
            return timestamp(self._clock.now())

    def forget(self) -> None:
        """Drop the record, once an outdated goal state was reported."""
        self._newest = MIN_TIMESTAMP
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
            except RequestStopped:
                raise
            except HttpError as error:
                is_late = "timed out" in error.message
                text = f"{name}: " + ("Timeout" if is_late else f"Request failed: {error.message}")
                self._errors.count(Category.TIMEOUT if is_late else Category.REQUEST, text)
                raise ProtocolFault(text) from error
            if response.status != 410:
                return response, name
            self._host.refresh()
        raise ProtocolFault(f"{name}: {describe_response(response)}")

    def _accept(self, response: Response, *, asked_with: Optional[str]) -> Optional[Fetched]:
        etag = response.header("ETag")
        if etag is None:
            raise ProtocolFault("The vmSettings response does not include an Etag header")
        try:
            settings = parse_vm_settings(response.body).with_etag(etag)
        except DocumentError as error:
            version = str(error.facts.get("host_plugin_version") or NO_VERSION)
            if version != NO_VERSION and Version(version) < MIN_PLUGIN_VERSION:
                self._give_up(version)  # what such an old host says is not used anyway
                return None
            raise UnreadableSettings(
                f"Error parsing vmSettings [HGAP: {version} Etag:{etag}]: {error.message}",
                etag,
                response.body,
            ) from error
        plugin_version = settings.host_plugin_version or "unknown"
        if plugin_version != self._plugin_version:
            self._plugin_version = plugin_version
            text = f"HostGAPlugin version: {self._plugin_version}"
            log.info("%s", text)
            self._events.add(Op.HOST_PLUGIN, text)
        if not is_supported(settings):
            self._give_up(plugin_version)
            return None
        self.is_supported = True
        known = self._cached
        is_same = known is not None and (known.etag, known.raw) == (etag, response.body)
        if is_same and asked_with is not None:
            return self.remembered  # a host that never says 304
        self._cached = Fetched(settings, etag, response.body)
        self._record(settings)
        return self._cached

    def _record(self, settings: ExtensionsGoalState) -> None:
        is_fast = settings.source is GoalStateSource.FAST_TRACK
        self._newest = settings.created_on if is_fast else MIN_TIMESTAMP
        try:
            if is_fast:
                text = json.dumps({"timestamp": self._newest})
                files.write(self._paths.fast_track, text)
            else:
                files.remove(self._paths.fast_track)
        except OSError as error:
            log.warning(
                "Cannot record the fast-track time in %s: %s",
                self._paths.fast_track,
                describe(error),
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
