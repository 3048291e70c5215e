"""A disk that takes nothing, told to the fabric before there is a session.

What comes with a goal state, keys first, is written to disk; without it nothing can be provisioned,
and without this report nobody at the portal would hear why. Source: spec DAEMON 5.8.
"""

from __future__ import annotations

import logging

from waagent.core.errors import AgentError, describe
from waagent.protocol.documents.reports import NOT_READY, PROVISIONING_FAILED, render_health
from waagent.protocol.wire import Wire

log = logging.getLogger(__name__)


def report_disk_trouble(wire: Wire, error: Exception) -> bool:
    """Tell that this first boot waits for its disk; whether the fabric has accepted it."""
    text = f"[ProvisionError] Failed to provision: {describe(error)}"
    try:
        goal_state, _ = wire.fetch_goal_state()
        wire.post_health(
            render_health(
                goal_state.incarnation,
                goal_state.container_id,
                goal_state.role_instance_id or "",
                NOT_READY,
                PROVISIONING_FAILED,
                description=text,
            )
        )
    except AgentError as failure:
        log.warning("Cannot report that to the fabric: %s", describe(failure))
        return False
    log.info("Reported %s/%s to the fabric", NOT_READY, PROVISIONING_FAILED)
    return True
