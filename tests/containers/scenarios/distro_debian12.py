"""Debian 12: Python 3.11, systemd 252, networkd."""

from __future__ import annotations

from collections.abc import Iterator

from tests.containers.debian import Debian
from tests.containers.distros import GENERALIZED, PLAIN, SYSTEMD, Distro
from tests.containers.first_boot import tell
from tests.containers.lab import Lab
from tests.support.findings import Finding

DISTRO = Distro(
    "Debian 12",
    Debian("bookworm", (*PLAIN, *SYSTEMD), GENERALIZED),
    family="debian",
    service="walinuxagent",
    expected="systemd, systemd-networkd",
    files={"/etc/systemd/network/eth0.network": "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n"},
    more="systemctl enable -q systemd-networkd",
)


def play(lab: Lab) -> Iterator[Finding]:
    """A first boot."""
    yield from tell(lab, DISTRO)
