"""The current goal state: refreshed from both sources, held as an immutable snapshot.

The snapshot in memory is the truth; what is on disk are copies. Source: spec WIRE 3.3 to 3.5,
3.8, 4.4.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from typing import Optional

from waagent.core.clock import Clock
from waagent.core.errors import AgentError, describe
from waagent.core.events import Events, Op
from waagent.core.later import Later
from waagent.core.paths import Paths
from waagent.core.records import replace
from waagent.core.room import Room
from waagent.protocol.channels import Channels
from waagent.protocol.delivery import Delivery
from waagent.protocol.documents import redacted
from waagent.protocol.documents.extensions import ExtensionsGoalState, GoalStateSource
from waagent.protocol.documents.goalstate import GoalState
from waagent.protocol.errors import ProtocolFault
from waagent.protocol.fast_track import FastTrack, Fetched, SupportStopped, UnreadableSettings
from waagent.protocol.history import Content, History
from waagent.protocol.host import Host
from waagent.protocol.keys import CertificateStore
from waagent.protocol.snapshot import Snapshot
from waagent.protocol.wire import Wire

__all__ = ["Snapshot", "Store"]

log = logging.getLogger(__name__)

CERTIFICATES_AGAIN_S = 60.0
CERTIFICATES_AT_MOST_S = 3600.0
MOST_UNREADABLE = 50


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
        clock: Clock,
    ) -> None:
        self._wire = wire
        self._host = host
        self._channels = channels
        self._certificates = certificates
        self._fast_track = fast_track
        self._events = events
        self._history = history
        self._delivery = Delivery(
            wire, channels, certificates, paths=paths, events=events, history=history
        )
        self._snapshot: Optional[Snapshot] = None
        self._weighed: Optional[ExtensionsGoalState] = None
        self._stopped: Optional[SupportStopped] = None
        self._unreadable: set[str] = set()
        self._does_without = False
        self._certificates_again = Later(
            clock, first_s=CERTIFICATES_AGAIN_S, most_s=CERTIFICATES_AT_MOST_S
        )
        self._room = Room(paths.lib, clock)

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
        if self._history is not None:
            self._history.expire()  # whatever becomes of this goal state
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
        if settings is not None and settings.settings.source is GoalStateSource.FABRIC:
            settings = None  # the fabric's own document counts: certificates come with it (4.4)
        # Not what the host calls new: what failed to be adopted before is new still.
        settings_are_new = settings is not None and settings.settings is not self._weighed
        if not is_new and not settings_are_new and known is not None:
            return self._with_late_certificates(known)
        self._begin_history(goal_state, settings if settings_are_new else None)
        if is_new or known is None:
            snapshot = self._delivery.fetch(goal_state, raw)
            snapshot = _merge(snapshot, settings, held=known)
            if known is None and self._is_without_fast_track:
                snapshot = snapshot.outdated_before(self._fast_track.timestamp())
        else:
            snapshot = _merge(known, settings, held=known)
        self._weighed = settings.settings if settings is not None else None
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

    @property
    def _is_without_fast_track(self) -> bool:
        return not self._fast_track.is_enabled or self._fast_track.is_given_up

    def _adopt(self, snapshot: Snapshot) -> Snapshot:
        is_fast = snapshot.extensions.source is GoalStateSource.FAST_TRACK
        self._channels.verify_artifacts = is_fast
        url = snapshot.goal_state.certificates_url
        if is_fast and url and self._certificates.missing(snapshot.certificates):
            found = self._certificates.refresh(url)
            snapshot = replace(snapshot, certificates=found or snapshot.certificates)
        self._announce_notes(snapshot.extensions)
        self._announce_signatures(snapshot.extensions)
        self._certificates_again.reset()
        if snapshot.wants_certificates:
            self._postpone_certificates()
        else:
            self._room.accepted()
        self._snapshot = snapshot
        return snapshot

    def _with_late_certificates(self, known: Snapshot) -> Snapshot:
        """Certificates that did not come are asked for again, less and less often.

        Else an extension would have to do without them until the next goal state or start.
        """
        url = known.goal_state.certificates_url
        if url is None or not known.wants_certificates:
            return known
        if not (self._certificates_again.is_due or self._room.may_have_come):
            return known
        self._postpone_certificates()
        log.info("Ask again for certificates that did not come with %s", known.extensions.id)
        with self._certificates.expected():
            found = self._certificates.refresh(url)
        if found:
            known = self._snapshot = replace(known, certificates=found)
        return known

    def _postpone_certificates(self) -> None:
        """A full disk is one of the reasons why they do not come: so room there is one to ask."""
        self._certificates_again.postpone()
        self._room.refused()

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
        snapshot = self._delivery.fetch(goal_state, raw).outdated_before(stopped.timestamp)
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
        except AgentError as error:
            if isinstance(error, UnreadableSettings):
                self._keep_unreadable(error)
            if not self._fast_track.is_given_up:
                raise
            self._tell_of_doing_without(error)
            return self._fast_track.remembered
        if not self._fast_track.is_given_up:
            self._does_without = False
        if settings is not None:
            self._stopped = None
        return settings

    def _tell_of_doing_without(self, error: AgentError) -> None:
        if self._does_without:
            return
        self._does_without = True
        text = f"The fabric's goal state has to do without vmSettings: {describe(error)}"
        log.warning("%s", text)
        self._events.add(Op.VM_SETTINGS, text, success=False, quiet=True)

    def _keep_unreadable(self, error: UnreadableSettings) -> None:
        if self._history is None or error.etag in self._unreadable:
            return
        if len(self._unreadable) >= MOST_UNREADABLE:
            self._unreadable.clear()
        self._unreadable.add(error.etag)
        text = redacted.redact_vm_settings(error.raw)
        self._history.save_unreadable(error.etag, {"VmSettings.json": text})

    def _begin_history(self, goal_state: GoalState, settings: Optional[Fetched]) -> None:
        if self._history is None:
            return
        tag = goal_state.incarnation + (f"-{settings.etag}" if settings is not None else "")
        self._history.begin(tag, goal_state.incarnation)
        if settings is not None:
            text = redacted.redact_vm_settings(settings.raw)
            no_copies: Mapping[str, Content] = {}
            self._history.save(no_copies, redacted={"VmSettings.json": text})


def _merge(fresh: Snapshot, settings: Optional[Fetched], *, held: Optional[Snapshot]) -> Snapshot:
    """Choose between both sources by their time of creation (WIRE 3.3, step 6; pure)."""
    candidate = fresh.extensions
    if settings is not None:
        fast = settings.settings
        is_only_fast = held is fresh
        if is_only_fast or fast.created_on > candidate.created_on:
            candidate = fast
    if held is None:
        return replace(fresh, extensions=candidate)
    before = held.extensions
    if candidate.created_on < before.created_on:
        candidate = before
    elif (
        before.is_outdated
        and candidate.source is before.source
        and candidate.created_on == before.created_on
    ):
        candidate = replace(candidate, is_outdated=True)  # a new number makes it no younger
    return replace(fresh, extensions=candidate)
