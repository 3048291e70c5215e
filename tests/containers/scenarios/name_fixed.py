"""The address is fixed, by networkd or by hand: the name is recorded, and nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator

from tests.containers.container import Container
from tests.containers.lab import Lab
from tests.containers.monitor import Monitor
from tests.containers.publishing import ODD, RECORD, publish
from tests.containers.segment import NETWORK, ROUTER, Segment
from tests.support.findings import Finding, look_at

ADDRESS = f"{NETWORK}20"
FILES = {
    "/etc/systemd/network/eth0.network": "[Match]\nName=eth0\n[Network]\n"
    f"Address={ADDRESS}/24\nGateway={ROUTER}\nIPv6AcceptRA=no\n"
}
BY_HAND = f"""ip link set eth0 up
ip address add {ADDRESS}/24 dev eth0
ip route add default via {ROUTER}
"""


def changes_nothing(segment: Segment, container: Container, expected: str) -> tuple[bool, str]:
    """Publish, and see that neither the link nor the DHCP server heard of it."""
    mark = len(segment.log)
    with Monitor(container) as monitor:
        told = publish(container, "named-anew")
    recorded = container.read(RECORD)
    good = told.manager == expected and recorded == "named-anew" and "WARNING" not in told.log
    silent = not monitor.losses and segment.log[mark:] == ""
    return good and silent, f"{told.log} the server heard: {segment.log[mark:] or 'nothing'}"


def play(lab: Lab) -> Iterator[Finding]:
    """Nobody asks a DHCP server for that address, so none has to know."""
    with (
        Segment() as segment,
        lab.container(
            segment.guest, files=FILES, prepare="systemctl enable -q systemd-networkd"
        ) as container,
    ):

        def by_networkd() -> tuple[bool, str]:
            container.await_address(ADDRESS)
            links = "/run/systemd/netif/links"
            container.await_that(
                "networkd is content", lambda: "=configured" in container.read(f"{links}/2")
            )
            return changes_nothing(segment, container, "systemd-networkd")

        yield from look_at((("networkd has a fixed address", by_networkd),), *ODD)
    with Segment() as segment, lab.container(segment.guest) as container:

        def by_hand() -> tuple[bool, str]:
            container.must("sh", "-euc", BY_HAND)
            container.await_address(ADDRESS)
            return changes_nothing(segment, container, "nothing")

        yield from look_at((("nothing manages the link", by_hand),), *ODD)
