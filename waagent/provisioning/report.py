"""Provisioning, Ready, Failed: told to the fabric in its own words (spec DAEMON 5.8, WIRE 8.1)."""

from __future__ import annotations

import logging
from typing import Optional

from waagent.core.context import Context
from waagent.core.errors import AgentError, describe
from waagent.core.events import Op
from waagent.guest import stats
from waagent.protocol.documents.reports import (
    NOT_READY,
    PROVISIONING,
    PROVISIONING_FAILED,
    READY,
    render_health,
)
from waagent.protocol.session import Session
from waagent.provisioning import marker

log = logging.getLogger(__name__)


def uptime_text(context: Context) -> str:
    """How long this machine has been up, as events tell it."""
    return f"{stats.uptime_s(context.system):.2f}s"


class HealthReports:
    """Sends the reports; one that is not accepted is logged and never stops the work."""

    def __init__(self, context: Context, session: Session) -> None:
        self._context = context
        self._session = session

    def report_starting(self) -> None:
        """Provisioning has begun."""
        self._post(NOT_READY, PROVISIONING, "Starting")

    def report_failed(self, error: AgentError, *, what: str = "Provisioning") -> None:
        """Provisioning has failed: to the log, to telemetry, and as what the portal shows."""
        text = error.for_fabric()
        told = f"{what} failed: {text} ({uptime_text(self._context)})"
        log.error("%s", told)
        self._context.events.add(Op.PROVISION, told, success=False, quiet=True)
        self._post(NOT_READY, PROVISIONING_FAILED, text)

    def report_ready(self) -> None:
        """The machine is ready; remembered once the fabric has accepted it (decision 9)."""
        if not self._post(READY, None, None):
            return
        try:
            marker.note_done(self._context, self._context.paths.ready_reported)
        except OSError as error:
            log.warning("Cannot remember that Ready was accepted: %s", describe(error))

    def _post(self, state: str, substatus: Optional[str], description: Optional[str]) -> bool:
        goal_state = self._session.store.current().goal_state
        body = render_health(
            goal_state.incarnation,
            goal_state.container_id,
            goal_state.role_instance_id or "",
            state,
            substatus,
            description=description,
        )
        try:
            self._session.wire.post_health(body)
        except AgentError as error:
            text = f"Reporting {state} failed: {describe(error)}"
            log.error("%s", text)
            self._context.events.add(Op.PROVISION, text, success=False, quiet=True)
            return False
        log.info("Reported %s%s to the fabric", state, f"/{substatus}" if substatus else "")
        return True
