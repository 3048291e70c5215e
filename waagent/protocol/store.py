"""The current goal state: refreshed from both sources, held as an immutable snapshot.

The snapshot in memory is the truth; what is on disk are copies. Source: spec WIRE 3.2 to 3.5,
3.8, 4.4, 11.1.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from typing import Optional

from waagent.core import files
from waagent.core.errors import AgentError, describe
from waagent.core.events import Events, Op
from waagent.core.paths import Paths
from waagent.core.records import dataclass, replace
from waagent.protocol.channels import Channels
from waagent.protocol.documents import redacted
from waagent.protocol.documents.artifacts_profile import parse_artifacts_profile
from waagent.protocol.documents.extensions import (
    ExtensionsGoalState,
    GoalStateSource,
    empty_extensions,
    parse_extensions_config,
)
from waagent.protocol.documents.goalstate import GoalState
from waagent.protocol.documents.hosting import HostingEnvironment, parse_hosting_environment
from waagent.protocol.documents.remoteaccess import RemoteAccess, parse_remote_access
from waagent.protocol.errors import ProtocolFault
from waagent.protocol.fast_track import FastTrack, Fetched, SupportStopped, UnreadableSettings
from waagent.protocol.history import Content, History
from waagent.protocol.host import Host
from waagent.protocol.keys import (
    CertificateStore,
    CertificateSummary,
    read_transport_certificate,
    render_summaries,
)
from waagent.protocol.wire import CIPHERS, Wire

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """One goal state with all that belongs to it."""

    goal_state: GoalState
    extensions: ExtensionsGoalState
    hosting: HostingEnvironment
    certificates: tuple[CertificateSummary, ...]
    remote_access: Optional[RemoteAccess]

    @property
    def lacks_certificates(self) -> bool:
        """Whether settings of a fast-track goal state name a certificate that did not come."""
        have = {each.thumbprint for each in self.certificates}
        return any(
            settings.protected_settings and settings.certificate_thumbprint not in have
            for handler in self.extensions.handlers
            for settings in handler.settings
        )


class Store:
    """Keeps the snapshot up to date. One thread refreshes; any thread may read ``current``."""

    def __init__(
        self,
        *,
        wire: Wire,
        host: Host,
        channels: Channels,
        certificates: CertificateStore,
        fast_track: FastTrack,
        paths: Paths,
        events: Events,
        history: Optional[History],
    ) -> None:
        self._wire = wire
        self._host = host
        self._channels = channels
        self._certificates = certificates
        self._fast_track = fast_track
        self._paths = paths
        self._events = events
        self._history = history
        self._snapshot: Optional[Snapshot] = None
        self._certificates_url: Optional[str] = None
        self._stopped: Optional[SupportStopped] = None
        self._unreadable_etag: Optional[str] = None

    def current(self) -> Snapshot:
        """The snapshot of the last successful refresh; ``ProtocolFault`` before the first."""
        if self._snapshot is None:
            raise ProtocolFault("there is no goal state yet")
        return self._snapshot

    @property
    def is_fast_track_supported(self) -> bool:
        """Whether the host serves vmSettings (and configuration allows it)."""
        return self._fast_track.is_supported

    def refresh(self, *, force: bool = False) -> Snapshot:
        """Ask for news and adopt them; the snapshot in force afterwards.

        Raises what made the update fail; then the snapshot is the one from before.
        """
        goal_state, raw = self._wire.fetch_goal_state()
        self._host.learn(goal_state)
        known = self._snapshot
        is_new = force or known is None or goal_state.incarnation != known.goal_state.incarnation
        with contextlib.ExitStack() as stack:
            if is_new and goal_state.certificates_url:
                stack.enter_context(self._certificates.expected())
            return self._update(goal_state, raw, is_new=is_new, force=force)

    def _update(self, goal_state: GoalState, raw: bytes, *, is_new: bool, force: bool) -> Snapshot:
        known = self._snapshot
        settings = self._fetch_fast_track(force=force)
        if self._stopped is not None:
            return self._adopt_without_fast_track(goal_state, raw, self._stopped)
        if settings is not None and settings.settings.extensions.source is GoalStateSource.FABRIC:
            settings = None  # the fabric's own document counts: certificates come with it (4.4)
        settings_are_new = settings is not None and settings.is_updated
        if not is_new and not settings_are_new and known is not None:
            return known
        self._begin_history(goal_state, settings if settings_are_new else None)
        if is_new or known is None:
            snapshot = self._fetch_all(goal_state, raw)
            snapshot = self._merge(snapshot, settings, held=known)
            if known is None and not self._fast_track.is_enabled:
                snapshot = _outdated_before(self._fast_track.timestamp(), snapshot)
        else:
            snapshot = self._merge(known, settings, held=known)
        return self._adopt(snapshot)

    def forget_fast_track(self) -> None:
        """After an outdated goal state was reported (WIRE 3.5)."""
        self._fast_track.forget()

    @property
    def lacks_status(self) -> bool:
        """Whether a status is to be kept beside the goal state in force, and is not yet."""
        return self._history is not None and self._history.lacks_status

    def save_status(self, content: Content) -> bool:
        """Keep the status beside its goal state; whether it is kept."""
        return self._history is not None and self._history.save_status(content)

    def save_manifest(self, name: str, content: Content) -> None:
        """Keep an extension's manifest beside its goal state."""
        if self._history is not None:
            self._history.save_manifest(name, content)

    def archive(self) -> None:
        """Past goal states become archives."""
        if self._history is not None:
            self._history.archive()

    def _merge(
        self, fresh: Snapshot, settings: Optional[Fetched], *, held: Optional[Snapshot]
    ) -> Snapshot:
        """Choose between both sources by their time of creation (WIRE 3.3, steps 6 and 7)."""
        candidate = fresh.extensions
        if settings is not None:
            fast = settings.settings.extensions
            is_only_fast = held is fresh
            if is_only_fast or fast.created_on > candidate.created_on:
                candidate = fast
        if held is not None and candidate.created_on < held.extensions.created_on:
            candidate = held.extensions
        return replace(fresh, extensions=candidate)

    def _adopt(self, snapshot: Snapshot) -> Snapshot:
        is_fast = snapshot.extensions.source is GoalStateSource.FAST_TRACK
        self._channels.verify_artifacts = is_fast
        url = self._certificates_url
        if is_fast and url and self._certificates.missing(snapshot.certificates):
            self._certificates.refresh(url)
        self._announce_notes(snapshot.extensions)
        self._announce_signatures(snapshot.extensions)
        self._snapshot = snapshot
        return snapshot

    def _announce_notes(self, extensions: ExtensionsGoalState) -> None:
        for note in extensions.notes:
            log.warning("%s", note.message)
            if note.operation:
                self._events.add(Op(note.operation), note.message, success=False, quiet=True)

    def _announce_signatures(self, extensions: ExtensionsGoalState) -> None:
        if not extensions.supports_signatures:
            return
        for handler in extensions.handlers:
            if handler.state.value != "uninstall":
                self._events.add(
                    Op.EXTENSION_SIGNED,
                    success=handler.is_signed,
                    name=handler.name,
                    version=handler.version,
                    quiet=True,
                )

    def _adopt_without_fast_track(
        self, goal_state: GoalState, raw: bytes, stopped: SupportStopped
    ) -> Snapshot:
        """The VM moved to an older host: the fabric's goal state, outdated or not (WIRE 3.5)."""
        self._begin_history(goal_state, None)
        snapshot = _outdated_before(stopped.timestamp, self._fetch_all(goal_state, raw))
        self._stopped = None
        return self._adopt(snapshot)

    def _fetch_fast_track(self, *, force: bool) -> Optional[Fetched]:
        """The host's settings, if it has any. That it stopped to have them is remembered until
        the fabric's goal state has taken their place.
        """
        try:
            settings = self._fast_track.fetch(force=force)
        except SupportStopped as stopped:
            self._stopped = stopped
            return None
        except UnreadableSettings as error:
            if self._history is not None and error.etag != self._unreadable_etag:
                self._unreadable_etag = error.etag
                text = redacted.redact_vm_settings(error.raw)
                self._history.save_unreadable(error.etag, {"VmSettings.json": text})
            raise
        if settings is not None:
            self._stopped = None
        return settings

    def _fetch_all(self, goal_state: GoalState, raw: bytes) -> Snapshot:
        """All documents, in the fabric's order (WIRE 3.2); any failure but certificates' raises.

        What came until then is kept, so that somebody can see what was wrong with it.
        """
        documents: dict[str, Content] = {"GoalState.xml": raw}
        safe: dict[str, Content] = {}
        try:
            return self._fetch_documents(goal_state, documents, safe)
        except (AgentError, OSError):
            if self._history is not None:
                self._history.save({}, redacted={**documents, **safe})
            raise

    def _fetch_documents(
        self, goal_state: GoalState, documents: dict[str, Content], safe: dict[str, Content]
    ) -> Snapshot:
        extensions = self._fetch_extensions(goal_state, documents, safe)
        hosting_raw = self._wire.fetch_document(goal_state.hosting_environment_url or "")
        documents["HostingEnvironmentConfig.xml"] = hosting_raw
        shared = self._wire.fetch_document(goal_state.shared_config_url or "")
        documents["SharedConfig.xml"] = shared
        self._write_shared_config(shared)
        self._certificates_url = goal_state.certificates_url
        certificates: tuple[CertificateSummary, ...] = ()
        if goal_state.certificates_url:
            certificates = self._certificates.refresh(goal_state.certificates_url)
        safe["Certificates.json"] = render_summaries(certificates)
        remote_access = self._fetch_remote_access(goal_state, safe)
        hosting = parse_hosting_environment(hosting_raw)
        if self._history is not None:
            self._history.save(documents, redacted=safe)
        return Snapshot(goal_state, extensions, hosting, certificates, remote_access)

    def _fetch_extensions(
        self, goal_state: GoalState, documents: dict[str, Content], safe: dict[str, Content]
    ) -> ExtensionsGoalState:
        if goal_state.extensions_config_url is None:
            return empty_extensions(goal_state.incarnation)
        raw = self._wire.fetch_document(goal_state.extensions_config_url)
        documents["ExtensionsConfig.xml"] = raw
        safe["ExtensionsConfig.xml"] = redacted.redact_extensions_config(raw)
        extensions = parse_extensions_config(raw).with_incarnation(goal_state.incarnation)
        if extensions.artifacts_profile_url is None:
            return extensions
        return replace(extensions, on_hold=self._fetch_on_hold(extensions.artifacts_profile_url))

    def _fetch_on_hold(self, url: str) -> bool:
        """What the artifacts profile says; any failure means that nothing is on hold (11.1)."""
        try:
            return parse_artifacts_profile(self._channels.fetch_profile(url)).on_hold
        except AgentError as error:
            self._events.add(
                Op.ARTIFACTS_PROFILE,
                f"Cannot use the artifacts profile: {describe(error)}",
                success=False,
            )
            return False

    def _fetch_remote_access(
        self, goal_state: GoalState, safe: dict[str, Content]
    ) -> Optional[RemoteAccess]:
        if goal_state.remote_access_url is None:
            return None
        certificate = read_transport_certificate(self._paths)
        raw = self._wire.fetch_sealed(goal_state.remote_access_url, certificate, CIPHERS[0])
        safe["RemoteAccess.xml"] = raw
        return parse_remote_access(raw)

    def _write_shared_config(self, shared: bytes) -> None:
        """Other products read this copy, whichever process we are (WIRE 3.6)."""
        try:
            files.write(self._paths.lib / "SharedConfig.xml", shared)
        except OSError as error:
            log.warning("Cannot write SharedConfig.xml: %s", error)

    def _begin_history(self, goal_state: GoalState, settings: Optional[Fetched]) -> None:
        if self._history is None:
            return
        tag = goal_state.incarnation + (f"-{settings.etag}" if settings is not None else "")
        self._history.begin(tag, goal_state.incarnation)
        if settings is not None:
            text = redacted.redact_vm_settings(settings.raw)
            no_copies: Mapping[str, Content] = {}
            self._history.save(no_copies, redacted={"VmSettings.json": text})


def _outdated_before(moment: str, snapshot: Snapshot) -> Snapshot:
    """The snapshot, marked where a fast-track goal state of that moment was carried out since."""
    if snapshot.extensions.created_on >= moment:
        return snapshot
    return replace(snapshot, extensions=replace(snapshot.extensions, is_outdated=True))
