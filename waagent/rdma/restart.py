"""Restart the machine for a driver that only a new start can load: once for each reason.

The existing agent does it as often as it finds the same thing, which may be at each start.
"""

from __future__ import annotations

import logging

from waagent.core import files
from waagent.core.context import Context
from waagent.core.errors import GuestError
from waagent.rdma.modules import kernel_release

log = logging.getLogger(__name__)

RECORD = "rdma_restart"
TIMEOUT_S = 60.0


def restart(context: Context, why: str, driver: str) -> None:
    """Restart, unless the last restart was for this reason, driver and kernel."""
    text = f"{why} [driver {driver}, kernel {kernel_release(context.system)}]"
    record = context.paths.lib / RECORD
    if files.read_if_there(record, limit=4096) == text:
        raise GuestError(f"the machine was restarted for this already, and is not again: {text}")
    files.write(record, text)
    log.warning("RDMA: restarting the machine: %s", text)
    context.system.run("shutdown", "-r", "now", timeout_s=TIMEOUT_S).check()
