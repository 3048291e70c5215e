"""What happens once in each boot, in a helper process whose memory goes away with it.

Source: spec DAEMON 1.4, steps 5 to 7.
"""

from __future__ import annotations

import logging

from waagent.core.context import Context
from waagent.core.errors import AgentError, describe
from waagent.guest.profile import Profile
from waagent.protocol import endpoint
from waagent.protocol.endpoint import Detection
from waagent.protocol.session import Session, make_transport
from waagent.provisioning.choose import provision

log = logging.getLogger(__name__)

DONE = 0
NO_FABRIC = 1


def boot(context: Context, profile: Profile) -> int:
    """Set the machine up and find the fabric; the helper's exit code.

    A provisioning that fails is reported and counts as done: extensions may still run.
    """
    _say_what_is_off(context)
    endpoint.clean(context)
    detection = Detection(context, profile, make_transport(context))

    def connect() -> Session:
        return detection.run(with_goal_state=True)

    try:
        if provision(context, profile, connect) is None:
            detection.run(with_goal_state=False)
    except AgentError as error:
        log.error("Cannot prepare this machine: %s", describe(error))
        return NO_FABRIC
    if not context.conf.os.is_rdma_on:
        log.info("RDMA capabilities are not enabled, skipping")
    return DONE


def _say_what_is_off(context: Context) -> None:
    """So that a reader of the log finds each step of the boot, in its order (decision 14)."""
    if not context.conf.os.detect_scvmm_env:
        log.info("DetectScvmmEnv is off, not looking for System Center VMM")
    if not context.conf.resource_disk.format:
        log.info("ResourceDisk.Format is off, the resource disk stays as it is")
