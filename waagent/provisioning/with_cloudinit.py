"""cloud-init does the work; we wait for its traces and report (spec DAEMON 5.9)."""

from __future__ import annotations

import logging

from waagent.core.context import Context
from waagent.core.events import Op
from waagent.protocol.session import Session
from waagent.provisioning import cloudinit, marker
from waagent.provisioning.errors import ProvisioningError
from waagent.provisioning.fabric import Fabric
from waagent.provisioning.native import note_guest_agent_flag
from waagent.provisioning.report import HealthReports, uptime_text

log = logging.getLogger(__name__)

NAME = "Provisioning with cloud-init"


def follow(context: Context, fabric: Fabric) -> Session:
    """Report what cloud-init makes of this machine; the session for what follows."""
    log.info("Running CloudInit provisioning handler")
    fabric.prepare()
    try:
        note_guest_agent_flag(context, cloudinit.wait_for_ovf_env(context))
    except ProvisioningError as error:
        session = fabric.connect()
        HealthReports(context, session).report_failed(error, what=NAME)
        return session
    session = fabric.connect()
    reports = HealthReports(context, session)
    reports.report_starting()
    key_type = context.conf.provisioning.ssh_host_key_pair_type
    try:
        cloudinit.wait_for_host_key(context, "rsa" if key_type == "auto" else key_type)
    except ProvisioningError as error:
        reports.report_failed(error, what=NAME)
        return session
    marker.write_marker(context)
    log.info("Finished provisioning")
    reports.report_ready()
    context.events.add(Op.PROVISION, f"{NAME} succeeded ({uptime_text(context)})")
    return session
