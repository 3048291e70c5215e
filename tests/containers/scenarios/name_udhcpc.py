"""udhcpc has the link, and its name is published."""

from __future__ import annotations

from collections.abc import Iterator

from tests.containers.lab import Lab
from tests.containers.publishing import Story, tell
from tests.containers.segment import Segment
from tests.support.findings import Finding

UNIT = """[Service]
ExecStart=/sbin/udhcpc -f -i eth0 -x hostname:unprovisioned
[Install]
WantedBy=multi-user.target
"""


def play(lab: Lab) -> Iterator[Finding]:
    """Its name is a word of its command line, and it writes no lease down."""
    with (
        Segment() as segment,
        lab.container(
            segment.guest,
            files={"/etc/systemd/system/udhcpc-eth0.service": UNIT},
            prepare="systemctl enable -q udhcpc-eth0",
        ) as container,
    ):
        yield from tell(Story(segment, container, "udhcpc"))
