"""cloud-init's turn, ours, or nobody's; and what a machine that was set up before still needs.

Source: spec DAEMON 5.1 to 5.3, 5.9.
"""

from __future__ import annotations

import logging
from typing import Optional

from waagent.core.context import Context
from waagent.core.events import Op
from waagent.guest import cloudinit
from waagent.guest.profile import Profile
from waagent.protocol.session import Session
from waagent.provisioning import cloudinit as cloud
from waagent.provisioning import marker
from waagent.provisioning.errors import ProvisioningError
from waagent.provisioning.marker import Standing
from waagent.provisioning.native import Connect, NativeProvisioning, note_guest_agent_flag
from waagent.provisioning.report import HealthReports, uptime_text

log = logging.getLogger(__name__)

CLOUD_INIT = "cloud-init"
WITH_CLOUD_INIT = "Provisioning with cloud-init"
DISABLED = "disabled"


def provision(context: Context, profile: Profile, connect: Connect) -> Optional[Session]:
    """See to it that this machine is set up; the session, if the fabric had to be asked.

    Raises what ``connect`` raises. A failed attempt is reported, not raised.
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
        return _report_ready(context, connect)
    log.info("Using %s for provisioning", provisioner)
    if standing is not Standing.NEW:
        return _welcome_back(context, standing, connect)
    if provisioner == CLOUD_INIT:
        return _after_cloud_init(context, connect)
    if is_cloud_init_enabled:
        return _refuse(
            context,
            connect,
            "cloud-init appears to be installed and enabled, this is not expected, cannot continue",
        )
    return NativeProvisioning(context, profile, connect).run()


def _welcome_back(context: Context, standing: Standing, connect: Connect) -> Optional[Session]:
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
    marker.write_marker(context)
    return _report_ready(context, connect)


def _report_ready(context: Context, connect: Connect) -> Session:
    session = connect()
    HealthReports(context, session).report_ready()
    return session


def _refuse(context: Context, connect: Connect, why: str) -> Session:
    session = connect()
    HealthReports(context, session).report_failed(ProvisioningError(why))
    return session


def _after_cloud_init(context: Context, connect: Connect) -> Session:
    """cloud-init does the work; we wait for its traces and report (DAEMON 5.9)."""
    log.info("Running CloudInit provisioning handler")
    try:
        note_guest_agent_flag(context, cloud.wait_for_ovf_env(context))
    except ProvisioningError as error:
        session = connect()
        HealthReports(context, session).report_failed(error, what=WITH_CLOUD_INIT)
        return session
    session = connect()
    reports = HealthReports(context, session)
    reports.report_starting()
    key_type = context.conf.provisioning.ssh_host_key_pair_type
    try:
        cloud.wait_for_host_key(context, "rsa" if key_type == "auto" else key_type)
    except ProvisioningError as error:
        reports.report_failed(error, what=WITH_CLOUD_INIT)
        return session
    marker.write_marker(context)
    log.info("Finished provisioning")
    reports.report_ready()
    text = f"{WITH_CLOUD_INIT} succeeded ({uptime_text(context)})"
    context.events.add(Op.PROVISION, text)
    return session
