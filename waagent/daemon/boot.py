"""What happens once in each boot, in a helper process whose memory goes away with it.

Source: spec DAEMON 1.4, steps 3 to 8.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Optional

from waagent.core.context import Context
from waagent.core.errors import AgentError, describe
from waagent.daemon import scvmm
from waagent.daemon.outcome import DONE, NO_FABRIC, TAKEN_OVER
from waagent.guest.profile import Profile
from waagent.protocol import saved_endpoint
from waagent.provisioning.choose import provision
from waagent.provisioning.leftovers import await_leftovers

if TYPE_CHECKING:
    from waagent.protocol.endpoint import Detection
    from waagent.protocol.session import Session

log = logging.getLogger(__name__)


def boot(context: Context, profile: Profile) -> int:
    """Set the machine up and find the fabric; the helper's exit code.

    A provisioning that fails is reported and counts as done: extensions may still run.
    """
    if _is_taken_over(context):
        return TAKEN_OVER
    _prepare_resource_disk(context)
    saved_endpoint.clean(context)
    search = Search(context, profile)
    try:
        if provision(context, profile, search) is None:
            search.detection.find()
    except (AgentError, OSError) as error:
        log.error("Cannot prepare this machine: %s", describe(error))
        return NO_FABRIC
    _set_up_rdma(context)
    return DONE


class Search:
    """The search for the fabric; what it needs is imported when it begins, not before."""

    def __init__(self, context: Context, profile: Profile) -> None:
        self._context = context
        self._profile = profile
        self._detection: Optional[Detection] = None

    @property
    def detection(self) -> Detection:
        """The one that this boot uses, however often it searches."""
        if self._detection is None:
            from waagent.protocol.endpoint import Detection
            from waagent.protocol.network import make_transport

            self._detection = Detection(self._context, self._profile, make_transport(self._context))
        return self._detection

    def prepare(self) -> None:
        """See ``provisioning.fabric.Fabric``."""
        self.detection.prepare()

    def connect(self) -> Session:
        """See ``provisioning.fabric.Fabric``."""
        return self.detection.connect()


def _is_taken_over(context: Context) -> bool:
    if context.conf.os.detect_scvmm_env:
        try:
            return scvmm.hand_over(context)
        except (AgentError, OSError) as error:
            log.warning("Cannot hand over to System Center VMM: %s", describe(error))
            return False
    log.info("DetectScvmmEnv is off, not looking for System Center VMM")
    return False


def _prepare_resource_disk(context: Context) -> None:
    if context.conf.resource_disk.format:
        from waagent.resourcedisk.flow import prepare
        from waagent.resourcedisk.partition import slow_programs

        # A daemon that was killed leaves its mkfs behind, and to us the disk would be in use.
        await_leftovers(context, slow_programs(context.conf.resource_disk.filesystem))
        prepare(context)
    else:
        log.info("ResourceDisk.Format is off, the resource disk stays as it is")


def _set_up_rdma(context: Context) -> None:
    if not context.conf.os.is_rdma_on:
        log.info("RDMA capabilities are not enabled, skipping")
        return
    from waagent.rdma.fabric import fetch_shared_config  # which hardly any machine needs
    from waagent.rdma.setup import set_up_rdma

    set_up_rdma(context, lambda: fetch_shared_config(context))
