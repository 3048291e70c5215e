"""Gather what is to be said of the agent and its extensions, and upload it (spec EXT 4.7)."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from typing import Optional

from waagent.core.context import Context
from waagent.core.errors import AgentError, RequestStopped, describe
from waagent.core.events import Op
from waagent.core.records import dataclass, replace
from waagent.core.sockets import kernel_hostname
from waagent.extensions.reconcile import Extensions
from waagent.exthandlers.convergence import Convergence
from waagent.exthandlers.keeper import Keeper
from waagent.guest.release import Release
from waagent.protocol.documents.extensions import ExtensionsGoalState, StatusBlob
from waagent.protocol.documents.status import (
    FAST_TRACK,
    FEATURES,
    GoalStateStatus,
    GuestAgentStatus,
    GuestOsInfo,
    VmStatus,
    render_status,
)
from waagent.protocol.errors import UploadUriMissing
from waagent.protocol.status_upload import StatusUploader
from waagent.protocol.store import Store

log = logging.getLogger(__name__)

FAILING_TOO_LONG_S = 900.0
SAY_EVERY_S = 3600.0
_ANY_MOMENT = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Sources:
    """Where a report comes from and where it goes."""

    store: Store
    extensions: Extensions
    uploader: StatusUploader
    release: Release
    keeper: Keeper


class Report:
    """Uploads the VM's status after every turn; remembers since when that fails."""

    def __init__(self, context: Context, sources: Sources, convergence: Convergence) -> None:
        self._context = context
        self._sources = sources
        self._convergence = convergence
        self._failing_since: Optional[float] = None
        self._kept: Optional[VmStatus] = None

    def upload(self, outcome: Optional[GoalStateStatus], *, is_meanwhile: bool = False) -> None:
        """Build and upload the status; failures are counted and told, never raised.

        ``is_meanwhile``: a goal state is being carried out, so nothing has come to its end.
        """
        goal = self._sources.store.current().extensions
        if is_meanwhile and goal.status_blob is None:
            return  # it would be fetched anew in the middle of it
        status = self._build(goal, outcome)
        self._sources.keeper.reported(status.handlers)
        body = render_status(status)
        try:
            uploader = self._sources.uploader
            if uploader.put(self._blob(goal), body):
                self._sources.keeper.uploaded(uploader.last_way, len(body))
            self._failing_since = None
        except UploadUriMissing as error:
            log.debug("%s", describe(error))
            self._count_failure(error)
        except RequestStopped:
            return
        except AgentError as error:
            self._context.events.add(
                Op.EXTENSION_PROCESSING, error.for_fabric(), success=False, every_s=SAY_EVERY_S
            )
            self._count_failure(error)
        if not is_meanwhile:
            self._convergence.update(status.handlers)
        self._keep(status, body)
        if goal.is_outdated:
            self._sources.store.forget_fast_track()

    def _keep(self, status: VmStatus, body: bytes) -> None:
        """Keep what says something new: an idle agent leaves the disk alone."""
        content = replace(status, moment=_ANY_MOMENT)
        store = self._sources.store
        if content != self._kept or store.lacks_status:
            self._kept = content if store.save_status(body) else None

    def _build(self, goal: ExtensionsGoalState, outcome: Optional[GoalStateStatus]) -> VmStatus:
        release = self._sources.release
        fast = (FAST_TRACK,) if self._sources.store.is_fast_track_supported else ()
        return VmStatus(
            moment=self._context.system.clock.now(),
            agent=GuestAgentStatus(),
            guest=GuestOsInfo(kernel_hostname(), release.name, release.version),
            handlers=self._sources.extensions.statuses(goal),
            goal_state=outcome,
            features=FEATURES + fast,
        )

    def _blob(self, goal: ExtensionsGoalState) -> StatusBlob:
        """Where the status goes; a goal state without it is fetched anew once (WIRE 7.4)."""
        blob = goal.status_blob or self._sources.store.refresh(force=True).extensions.status_blob
        if blob is None:
            raise UploadUriMissing("Status upload uri is missing")
        return blob

    def _count_failure(self, error: AgentError) -> None:
        self._sources.keeper.upload_failed(error)
        now = self._context.system.clock.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        elif now - self._failing_since >= FAILING_TOO_LONG_S:
            text = "Failed to report vm agent status for more than 0:15:00"
            self._context.events.add(Op.REPORT_STATUS_EXTENDED, text, success=False)
            self._failing_since = now
