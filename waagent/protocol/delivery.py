"""All documents of one goal state, fetched in the fabric's order (spec WIRE 3.2, 11.1).

What is adopted of them is decided in ``store.py``.
"""

from __future__ import annotations

import logging
from typing import Optional

from waagent.core import files
from waagent.core.errors import AgentError, describe
from waagent.core.events import Events, Op
from waagent.core.paths import Paths
from waagent.core.records import dataclass, field, replace
from waagent.protocol.channels import Channels
from waagent.protocol.documents import redacted
from waagent.protocol.documents.artifacts_profile import parse_artifacts_profile
from waagent.protocol.documents.extensions import (
    ExtensionsGoalState,
    empty_extensions,
    parse_extensions_config,
)
from waagent.protocol.documents.goalstate import GoalState
from waagent.protocol.documents.hosting import parse_hosting_environment
from waagent.protocol.documents.remoteaccess import RemoteAccess, parse_remote_access
from waagent.protocol.history import Content, History
from waagent.protocol.keys import (
    CertificateStore,
    CertificateSummary,
    read_transport_certificate,
    render_summaries,
)
from waagent.protocol.snapshot import Snapshot
from waagent.protocol.wire import CIPHERS, Wire

log = logging.getLogger(__name__)


@dataclass
class _Papers:
    """What came so far: ``safe`` is what may be kept of the ``whole`` ones for people."""

    whole: dict[str, Content] = field(default_factory=dict)
    safe: dict[str, Content] = field(default_factory=dict)


class Delivery:
    """Fetches what a goal state names; any failure but that of certificates raises."""

    def __init__(
        self,
        wire: Wire,
        channels: Channels,
        certificates: CertificateStore,
        *,
        paths: Paths,
        events: Events,
        history: Optional[History],
    ) -> None:
        self._wire = wire
        self._channels = channels
        self._certificates = certificates
        self._paths = paths
        self._events = events
        self._history = history

    def fetch(self, goal_state: GoalState, raw: bytes) -> Snapshot:
        """All of it, with copies on the disk.

        Of a delivery that fails what came until then is kept, so that somebody can see what was
        wrong with it; the copies by name stay those of the goal state in force.
        """
        papers = _Papers({"GoalState.xml": raw})
        try:
            snapshot = self._fetch(goal_state, papers)
        except (AgentError, OSError):
            if self._history is not None:
                self._history.save({}, redacted={**papers.whole, **papers.safe})
            raise
        if self._history is not None:
            self._history.save(papers.whole, redacted=papers.safe)
        return snapshot

    def _fetch(self, goal_state: GoalState, papers: _Papers) -> Snapshot:
        extensions = self._fetch_extensions(goal_state, papers)
        hosting_raw = self._wire.fetch_document(goal_state.hosting_environment_url or "")
        papers.whole["HostingEnvironmentConfig.xml"] = hosting_raw
        shared = self._wire.fetch_document(goal_state.shared_config_url or "")
        papers.whole["SharedConfig.xml"] = shared
        self._write_shared_config(shared)
        certificates: tuple[CertificateSummary, ...] = ()
        if goal_state.certificates_url:
            certificates = self._certificates.refresh(goal_state.certificates_url)
        papers.safe["Certificates.json"] = render_summaries(certificates)
        remote_access = self._fetch_remote_access(goal_state, papers)
        hosting = parse_hosting_environment(hosting_raw)
        return Snapshot(goal_state, extensions, hosting, certificates, remote_access)

    def _fetch_extensions(self, goal_state: GoalState, papers: _Papers) -> ExtensionsGoalState:
        if goal_state.extensions_config_url is None:
            return empty_extensions(goal_state.incarnation)
        raw = self._wire.fetch_document(goal_state.extensions_config_url)
        papers.safe["ExtensionsConfig.xml"] = redacted.redact_extensions_config(raw)
        papers.whole["ExtensionsConfig.xml"] = raw
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
        self, goal_state: GoalState, papers: _Papers
    ) -> Optional[RemoteAccess]:
        if goal_state.remote_access_url is None:
            return None
        certificate = read_transport_certificate(self._paths)
        raw = self._wire.fetch_sealed(goal_state.remote_access_url, certificate, CIPHERS[0])
        papers.safe["RemoteAccess.xml"] = raw
        return parse_remote_access(raw)

    def _write_shared_config(self, shared: bytes) -> None:
        """Other products read this copy, whichever process we are (WIRE 3.6)."""
        try:
            files.write(self._paths.lib / "SharedConfig.xml", shared)
        except OSError as error:
            log.warning("Cannot write SharedConfig.xml: %s", describe(error))
