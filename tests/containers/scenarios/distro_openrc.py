"""OpenRC, as on Alpine: Debian 13 with OpenRC, the agent under supervise-daemon, dhcpcd."""

from __future__ import annotations

from collections.abc import Iterator

from tests.containers.debian import Debian
from tests.containers.distros import GENERALIZED, PLAIN, Distro
from tests.containers.first_boot import tell
from tests.containers.lab import Lab
from tests.support.findings import Finding

INIT = ("openrc", "sysvinit-core", "initscripts", "dhcpcd")
# No udev tells it of devices here; the rest is Debian's.
DHCPCD = "nodev\nhostname\npersistent\noption classless_static_routes\n"
DISTRO = Distro(
    "OpenRC",
    Debian("trixie", (*PLAIN, *INIT), GENERALIZED),
    family="alpine",
    service="waagent",
    expected="openrc, dhcpcd",
    host_keys=("rsa",),  # as the shipped configuration for Alpine asks
    files={"/etc/dhcpcd.conf": DHCPCD},
    init=("/sbin/init",),
)


def play(lab: Lab) -> Iterator[Finding]:
    """A first boot."""
    yield from tell(lab, DISTRO)
