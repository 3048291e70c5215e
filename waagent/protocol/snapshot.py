"""One goal state with all that belongs to it, as it is held in memory: a value, never changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from waagent.core.records import dataclass, replace
from waagent.protocol.documents.extensions import ExtensionsGoalState
from waagent.protocol.documents.goalstate import GoalState
from waagent.protocol.documents.handlers import RequestedState
from waagent.protocol.documents.hosting import HostingEnvironment
from waagent.protocol.documents.remoteaccess import RemoteAccess
from waagent.protocol.keys import CertificateSummary


@dataclass(frozen=True)
class MissingCertificate:
    """A certificate that protected settings name and that did not come, and who needs it."""

    thumbprint: str
    needed_by: str
    is_wanted: bool


@dataclass(frozen=True)
class Snapshot:
    """What the fabric wants, whole; disk has copies of it that nobody reads back."""

    goal_state: GoalState
    extensions: ExtensionsGoalState
    hosting: HostingEnvironment
    certificates: tuple[CertificateSummary, ...]
    remote_access: Optional[RemoteAccess]

    def missing_certificates(self) -> Iterator[MissingCertificate]:
        """Certificates that settings name without having come; of removals they are not wanted."""
        have = {each.thumbprint.upper() for each in self.certificates}
        for handler in self.extensions.handlers:
            for settings in handler.settings:
                thumbprint = settings.certificate_thumbprint or ""
                if settings.protected_settings and thumbprint.upper() not in have:
                    wanted = handler.state is settings.state is RequestedState.ENABLED
                    yield MissingCertificate(thumbprint, settings.name, wanted)

    @property
    def wants_certificates(self) -> bool:
        """Whether something that is to run cannot read its settings."""
        return any(each.is_wanted for each in self.missing_certificates())

    def outdated_before(self, moment: str) -> Snapshot:
        """The same, marked where a fast-track goal state of that moment was carried out since."""
        if self.extensions.created_on >= moment:
            return self
        return replace(self, extensions=replace(self.extensions, is_outdated=True))
