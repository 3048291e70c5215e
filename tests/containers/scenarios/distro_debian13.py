"""Debian 13: Python 3.13, systemd 257, dhcpcd under ifupdown."""

from __future__ import annotations

from collections.abc import Iterator

from tests.containers.debian import Debian
from tests.containers.distros import GENERALIZED, IFUPDOWN, PLAIN, SYSTEMD, Distro
from tests.containers.first_boot import tell
from tests.containers.lab import Lab
from tests.support.findings import Finding

DISTRO = Distro(
    "Debian 13",
    Debian("trixie", (*PLAIN, *SYSTEMD, "ifupdown", "dhcpcd-base"), GENERALIZED),
    family="debian",
    service="walinuxagent",
    expected="systemd, dhcpcd",
    files=dict(IFUPDOWN),
)


def play(lab: Lab) -> Iterator[Finding]:
    """A first boot."""
    yield from tell(lab, DISTRO)
