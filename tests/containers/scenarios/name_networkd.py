"""systemd-networkd has the link, and its name is published."""

from __future__ import annotations

from collections.abc import Iterator

from tests.containers.lab import Lab
from tests.containers.publishing import Story, tell
from tests.containers.segment import Segment
from tests.support.findings import Finding

FILES = {"/etc/systemd/network/eth0.network": "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n"}


def play(lab: Lab) -> Iterator[Finding]:
    """networkd keeps the name that it had when it took the link."""
    with (
        Segment() as segment,
        lab.container(
            segment.guest, files=FILES, prepare="systemctl enable -q systemd-networkd"
        ) as container,
    ):
        yield from tell(Story(segment, container, "systemd-networkd"))
