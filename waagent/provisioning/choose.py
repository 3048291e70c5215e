"""cloud-init's turn, ours, or nobody's; and what a machine that was set up before still needs.

Source: spec DAEMON 5.1 to 5.3, 5.9.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Optional

from waagent.core.context import Context
from waagent.core.events import Op
from waagent.guest import cloudinit
from waagent.guest.profile import Profile
from waagent.provisioning import marker
from waagent.provisioning.errors import ProvisioningError
from waagent.provisioning.fabric import Fabric
from waagent.provisioning.hostkeys import HostKeys
from waagent.provisioning.leftovers import await_leftovers
from waagent.provisioning.marker import Standing

if TYPE_CHECKING:
    from waagent.protocol.session import Session

log = logging.getLogger(__name__)

CLOUD_INIT = "cloud-init"
DISABLED = "disabled"


def provision(context: Context, profile: Profile, fabric: Fabric) -> Optional[Session]:
    """See to it that this machine is set up; the session, if the fabric had to be asked.

    Raises what ``fabric.connect`` raises. A failed attempt is reported, not raised.
    """
    conf = context.conf.provisioning
    log.info("Provisioning.Agent is %s", conf.agent)
    standing = marker.read_standing(context)
    log.info("This machine is %s", standing.value)
    is_cloud_init_enabled = cloudinit.is_enabled(context.system)
    provisioner = conf.provisioner(cloud_init_enabled=is_cloud_init_enabled)
    if provisioner == DISABLED:
        log.info("Provisioning is disabled, skipping.")
        marker.write_marker(context)
        return _report_ready(context, fabric)
    log.info("Using %s for provisioning", provisioner)
    if standing is not Standing.NEW:
        return _welcome_back(context, profile, standing, fabric)
    if provisioner == CLOUD_INIT:
        from waagent.provisioning.with_cloudinit import follow

        return follow(context, fabric)
    if is_cloud_init_enabled:
        return _refuse(
            context,
            fabric,
            "cloud-init appears to be installed and enabled, this is not expected, cannot continue",
        )
    return _natively(context, profile, fabric)


def _welcome_back(
    context: Context, profile: Profile, standing: Standing, fabric: Fabric
) -> Optional[Session]:
    """A machine that was set up before: Ready is told again only if there is a reason."""
    if standing is Standing.SAME:
        log.info("Provisioning already completed, skipping.")
        return None
    if standing is Standing.MOVED:
        text = (
            "VM is provisioned, but the VM unique identifier has changed. This indicates the VM"
            " may be created from an image that was not properly deprovisioned or generalized,"
            " which can result in unexpected behavior from the guest agent"
        )
        log.warning("%s", text)
        context.events.add(Op.PROVISION, text, success=False, quiet=True)
        # Before the marker names this machine: a start that is cut short here begins here again.
        from waagent.provisioning.moved import clean_up_after_move

        clean_up_after_move(context, profile)
    marker.write_marker(context)
    return _report_ready(context, fabric)


def _natively(context: Context, profile: Profile, fabric: Fabric) -> Session:
    """Keys take longest, so both kinds are begun before the packages that all else needs come."""
    log.info("Running default provisioning handler")
    await_leftovers(context)
    with HostKeys(context) as host_keys:
        fabric.prepare()
        from waagent.provisioning.native import NativeProvisioning

        return NativeProvisioning(context, profile, fabric.connect, host_keys).run()


def _report_ready(context: Context, fabric: Fabric) -> Session:
    from waagent.provisioning.report import HealthReports

    session = fabric.connect()
    HealthReports(context, session).report_ready()
    return session


def _refuse(context: Context, fabric: Fabric, why: str) -> Session:
    from waagent.provisioning.report import HealthReports

    session = fabric.connect()
    HealthReports(context, session).report_failed(ProvisioningError(why))
    return session
