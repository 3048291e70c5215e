"""ifupdown's dhclient has the link, and its name is published; then the old way takes it down."""

from __future__ import annotations

from collections.abc import Iterator

from tests.containers.lab import Lab
from tests.containers.monitor import Monitor
from tests.containers.publishing import ODD, Story, tell
from tests.containers.segment import NETWORK, Segment
from tests.support.findings import Finding, look_at

FILES = {
    "/etc/network/interfaces": "auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp\n"
}


def play(lab: Lab) -> Iterator[Finding]:
    """dhclient is left alone; what is seen of ifdown and ifup shows that losses are seen."""
    with (
        Segment() as segment,
        lab.container(
            segment.guest, files=FILES, prepare="systemctl enable -q networking"
        ) as container,
    ):
        yield from tell(Story(segment, container, "dhclient"))

        def shows_losses() -> tuple[bool, str]:
            with Monitor(container) as monitor:
                container.must("sh", "-c", "ifdown eth0 && ifup eth0")
                container.await_address(NETWORK)
            return len(monitor.losses) > 1, f"{len(monitor.losses)} losses"

        looks = (("ifdown and ifup, in contrast, lose the link", shows_losses),)
        yield from look_at(looks, *ODD)
