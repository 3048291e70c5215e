"""Which services are installed here, by the files of their units and init scripts; none is run.

Names differ between distributions, and within one over time (ssh, sshd): what is there is seen
rather than remembered.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Optional

from waagent.core.rooted import Rooted

# systemd.unit(5), then where init scripts are
UNIT_DIRS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
SCRIPT_DIRS = ("/etc/init.d", "/etc/rc.d/init.d")


def find_installed(system: Rooted, names: Iterable[str]) -> Optional[str]:
    """The first of these services that is installed, whatever the init system."""
    return next((name for name in names if _is_installed(system, name)), None)


def _is_installed(system: Rooted, name: str) -> bool:
    units = [f"{folder}/{name}.service" for folder in UNIT_DIRS]
    scripts = [f"{folder}/{name}" for folder in SCRIPT_DIRS]
    # an alias may lead to a unit that is installed elsewhere: the link itself is enough
    return any(os.path.lexists(system.entry(path)) for path in (*units, *scripts))
