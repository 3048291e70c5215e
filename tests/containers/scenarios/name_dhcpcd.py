"""dhcpcd has the link, and its name is published."""

from __future__ import annotations

from collections.abc import Iterator

from tests.containers.lab import Lab
from tests.containers.publishing import Story, tell
from tests.containers.segment import Segment
from tests.support.findings import Finding

UNIT = """[Service]
Type=forking
ExecStart=/sbin/dhcpcd -4 -q -b eth0
[Install]
WantedBy=multi-user.target
"""


def play(lab: Lab) -> Iterator[Finding]:
    """Debian's dhcpcd says no name by itself at all."""
    with (
        Segment() as segment,
        lab.container(
            segment.guest,
            files={"/etc/systemd/system/dhcpcd-eth0.service": UNIT},
            prepare="systemctl enable -q dhcpcd-eth0",
        ) as container,
    ):
        yield from tell(Story(segment, container, "dhcpcd"))
