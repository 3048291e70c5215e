"""Which distribution gets its RDMA driver how (spec DAEMON 9.1)."""

from __future__ import annotations

import logging
from typing import Callable, Optional

from waagent.core.context import Context
from waagent.core.records import dataclass
from waagent.guest.release import Release
from waagent.rdma import apt, yum, zypper

log = logging.getLogger(__name__)

Install = Callable[[Context, Release, str], None]
"""Has the driver for that Network Direct version installed and loaded, or raises why not."""


@dataclass(frozen=True)
class Row:
    """The long names of distributions, the oldest version, and what is done there."""

    names: tuple[str, ...]
    install: Install
    since: tuple[int, ...] = ()


ROWS = (
    Row(("SUSE Linux Enterprise Server", "SLES", "SLE_HPC"), zypper.install, since=(11, 1)),
    Row(
        (
            *("CentOS Linux", "CentOS", "AlmaLinux", "CloudLinux", "Rocky Linux"),
            *("Red Hat Enterprise Linux Server", "Red Hat Enterprise Linux"),
        ),
        yum.install,
    ),
    Row(("Ubuntu",), apt.install),
)


def find_install(release: Release) -> Optional[Install]:
    """What is done on that distribution, if anything."""
    for row in ROWS:
        if release.full_name in row.names and release.is_at_least(*row.since):
            return row.install
    log.info(
        "RDMA: No RDMA handler exists for distro='%s' version='%s'",
        release.full_name,
        release.version,
    )
    return None
