"""System V init, as on Devuan: Debian 12 without systemd, the LSB script, dhclient."""

from __future__ import annotations

from collections.abc import Iterator

from tests.containers.debian import Debian
from tests.containers.distros import GENERALIZED, IFUPDOWN, PLAIN, Distro
from tests.containers.first_boot import tell
from tests.containers.lab import Lab
from tests.support.findings import Finding

INIT = ("sysvinit-core", "sysv-rc", "initscripts", "ifupdown", "isc-dhcp-client")
DEVUAN = (
    'PRETTY_NAME="Devuan GNU/Linux 5 (daedalus)"\nNAME="Devuan GNU/Linux"\nVERSION_ID="5"\n'
    'VERSION="5 (daedalus)"\nVERSION_CODENAME="daedalus"\nID=devuan\nID_LIKE=debian\n'
)
DISTRO = Distro(
    "System V init",
    Debian("bookworm", (*PLAIN, *INIT), GENERALIZED),
    family="devuan",
    service="walinuxagent",
    expected="sysv, dhclient",
    files={**IFUPDOWN, "/etc/os-release": DEVUAN},
    init=("/sbin/init",),
)


def play(lab: Lab) -> Iterator[Finding]:
    """A first boot."""
    yield from tell(lab, DISTRO)
