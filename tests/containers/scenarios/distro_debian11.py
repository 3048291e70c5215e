"""Debian 11: Python 3.9, systemd 247, dhclient; older packages than we promise."""

from __future__ import annotations

from collections.abc import Iterator

from tests.containers.debian import Debian
from tests.containers.distros import GENERALIZED, IFUPDOWN, PLAIN, SYSTEMD, Distro
from tests.containers.first_boot import tell
from tests.containers.lab import Lab
from tests.support.findings import Finding

DISTRO = Distro(
    "Debian 11",
    Debian("bullseye", (*PLAIN, *SYSTEMD, "ifupdown", "isc-dhcp-client"), GENERALIZED),
    family="debian",
    service="walinuxagent",
    expected="systemd, dhclient",
    host_keys=("rsa", "dsa", "ecdsa", "ed25519"),
    files=dict(IFUPDOWN),
)


def play(lab: Lab) -> Iterator[Finding]:
    """A first boot."""
    yield from tell(lab, DISTRO)
