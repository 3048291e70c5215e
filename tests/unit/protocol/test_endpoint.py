"""Finding the wire server: by route or lease, and asked until it answers (WIRE 1, DAEMON 6).

DHCP itself is spoken only in a network namespace; the machines here have no interface for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

import pytest

from tests.support.clock import ManualClock
from tests.support.machine import LOOPBACK, Link, Machine, routes
from tests.support.runner import Answers, Argv, ScriptedRunner, ok
from tests.support.transport import Reply, ScriptedTransport, answers, no_answer
from tests.unit.protocol.test_dhcp_request import ScriptedLink, Server, good, offer, silent
from waagent.core.clock import Stop
from waagent.core.conf import load
from waagent.core.context import Context
from waagent.core.dhcp_socket import open_dhcp_socket
from waagent.core.events import Events
from waagent.core.paths import make_paths
from waagent.protocol.dhcp_request import Channel
from waagent.protocol.endpoint import Detection
from waagent.protocol.errors import EndpointNotFound
from waagent.protocol.saved_endpoint import clean, find_saved

KNOWN = "168.63.129.16"
LEASED = "10.1.2.3"
ROUTE = routes(("eth0", "10813FA8", "0100000A", "0007", 0, "FFFFFFFF"))
LEASES = """lease {
  interface "eth0";
  option unknown-245 0a:01:02:03;
  expire never;
}
"""
LEASE_FILE = "/var/lib/dhcp/dhclient.eth0.leases"
VERSIONS = (
    b"<Versions><Preferred><Version>2015-04-05</Version></Preferred>"
    b"<Supported><Version>2012-11-30</Version></Supported></Versions>"
)
STRANGE = b"<Versions><Preferred><Version>2099-01-01</Version></Preferred></Versions>"
GOOD = answers(200, VERSIONS)
TRIES = 360
DHCP_IS_OFF = "Protocol.EndpointDiscovery=static\n"


@dataclass
class Search:
    """A machine that looks for the fabric."""

    context: Context
    detection: Detection
    transport: ScriptedTransport
    clock: ManualClock
    runner: ScriptedRunner

    @property
    def ran(self) -> list[Argv]:
        """The commands that were run, in order."""
        return self.runner.ran

    def run(self) -> str:
        """Search to the end; the address."""
        return self.detection.find()

    @property
    def asked(self) -> list[str]:
        """Whom it asked, in order."""
        return [request.url.split("/")[2] for request in self.transport.sent]


def search(
    root: Path,
    files: dict[str, str],
    replies: Union[Reply, Sequence[Reply], dict[str, Reply]] = GOOD,
    *,
    conf: str = "",
    dhcp: Optional[ScriptedLink] = None,
    commands: Optional[Mapping[Argv, Answers]] = None,
) -> Search:
    """A machine with files, whose wire servers all say the same; ``dhcp`` is behind eth0."""
    eth0 = _down() if dhcp is None else Link("eth0")
    guest = Machine(files=files, links=(LOOPBACK, eth0), commands=commands or {}).boot(root)
    loaded = load(conf.encode(), "waagent.conf").conf
    paths = make_paths(guest.system, loaded)
    paths.lib.mkdir(parents=True, exist_ok=True)
    transport = ScriptedTransport(
        {
            ("GET", f"http://{host}/?comp=versions"): (
                replies[host] if isinstance(replies, dict) else replies
            )
            for host in (KNOWN, LEASED)
        }
    )
    context = Context(guest.system, loaded, paths, Events(paths.events, guest.clock), Stop())

    def opened(device: str) -> Channel:
        return open_dhcp_socket(device) if dhcp is None else dhcp

    detection = Detection(context, guest.profile, transport, opened)
    return Search(context, detection, transport, guest.clock, guest.runner)


def _down() -> Link:
    return Link("eth0", flags="0x1002", operstate="down")


def test_route_leads_to_the_known_address(tmp_path: Path) -> None:
    one = search(tmp_path, {"/proc/net/route": ROUTE, LEASE_FILE: LEASES})
    assert one.run() == KNOWN
    assert one.asked == [KNOWN]
    assert dict(one.transport.sent[0].headers) == {}
    assert one.context.paths.endpoint.read_text() == KNOWN
    assert one.context.paths.protocol.read_text() == "WireProtocol"
    assert one.context.paths.transport_private.stat().st_mode & 0o777 == 0o600
    assert find_saved(one.context) == KNOWN


def test_lease_names_the_address_where_there_is_no_route(tmp_path: Path) -> None:
    one = search(tmp_path, {LEASE_FILE: LEASES})
    assert one.run() == LEASED
    assert one.context.paths.endpoint.read_text() == LEASED


def test_lease_is_not_believed_twice(tmp_path: Path) -> None:
    one = search(tmp_path, {LEASE_FILE: LEASES}, answers(404))
    with pytest.raises(EndpointNotFound, match=r"No protocol found\."):
        one.run()
    assert one.asked == [LEASED], "after that only DHCP could say more"


def test_discovery_that_is_switched_off_means_the_known_address(tmp_path: Path) -> None:
    one = search(tmp_path, {LEASE_FILE: LEASES}, conf=DHCP_IS_OFF)
    assert one.run() == KNOWN


@pytest.mark.parametrize(
    "first",
    [answers(404), answers(410), answers(200, b"no XML"), answers(200, STRANGE)],
    ids=["404", "410", "no XML", "another version"],
)
def test_wire_server_that_cannot_be_used_is_tried_again(tmp_path: Path, first: Reply) -> None:
    one = search(tmp_path, {"/proc/net/route": ROUTE}, [first, answers(200, VERSIONS)])
    assert one.run() == KNOWN
    assert one.clock.waits == [10.0]


def test_search_ends_after_an_hour(tmp_path: Path) -> None:
    one = search(tmp_path, {})
    with pytest.raises(EndpointNotFound, match=r"No protocol found\."):
        one.run()
    assert one.clock.waits == [10.0] * (TRIES - 1)
    assert not one.context.paths.protocol.exists()


def test_search_ends_when_told_to_stop(tmp_path: Path) -> None:
    one = search(tmp_path, {})
    one.clock.at(15, one.context.stop.set)
    with pytest.raises(EndpointNotFound):
        one.run()
    assert one.clock.waits == [10.0, 10.0]


def test_unreachable_server_is_patiently_asked(tmp_path: Path) -> None:
    replies: list[Reply] = [*[no_answer(f"http://{KNOWN}/")] * 7, answers(200, VERSIONS)]
    one = search(tmp_path, {"/proc/net/route": ROUTE}, replies)
    one.run()
    assert one.clock.waits == [2, 3, 5, 8, 13, 10, 2]


def test_what_an_earlier_start_found_is_forgotten(tmp_path: Path) -> None:
    one = search(tmp_path, {})
    one.context.paths.endpoint.write_text(KNOWN)
    one.context.paths.protocol.write_text("WireProtocol")
    clean(one.context)
    clean(one.context)
    assert find_saved(one.context) is None
    assert not one.context.paths.endpoint.exists()


@pytest.mark.parametrize("word", ["MetadataProtocol", "WireProtocol\n", "", "wireprotocol"])
def test_only_the_exact_word_saves_the_search(tmp_path: Path, word: str) -> None:
    one = search(tmp_path, {})
    one.context.paths.endpoint.write_text(LEASED)
    one.context.paths.protocol.write_text(word)
    assert find_saved(one.context) is None


def test_protocol_without_an_address_means_the_known_one(tmp_path: Path) -> None:
    one = search(tmp_path, {})
    one.context.paths.protocol.write_text("WireProtocol")
    assert find_saved(one.context) == KNOWN
    one.context.paths.endpoint.write_text(LEASED)
    assert find_saved(one.context) == LEASED


DEFAULT = routes(("eth0", "00000000", "0100000A", "0003", 0, "00000000"))
IP: dict[Argv, Answers] = {("ip",): ok()}


def test_dhcp_names_the_address_and_the_routes(tmp_path: Path) -> None:
    """The default route of option 3, and those of 249; each on the interface that heard of it."""
    options = bytes((245, 4, 10, 1, 2, 3, 3, 4, 10, 0, 0, 1))
    options += bytes((249, 9, 32, 168, 63, 129, 16, 10, 0, 0, 1))
    link = ScriptedLink(lambda request: (offer(request, options),))
    one = search(tmp_path, {}, dhcp=link, commands=IP)
    assert one.run() == LEASED
    assert one.ran == [
        ("ip", "route", "add", "default", "via", "10.0.0.1", "dev", "eth0"),
        ("ip", "route", "add", "168.63.129.16/32", "via", "10.0.0.1", "dev", "eth0"),
    ]


def test_dhcp_changes_nothing_where_routes_are_there(tmp_path: Path) -> None:
    options = bytes((245, 4, 10, 1, 2, 3, 3, 4, 10, 0, 0, 1))
    link = ScriptedLink(lambda request: (offer(request, options),))
    one = search(tmp_path, {"/proc/net/route": DEFAULT}, dhcp=link)
    assert one.run() == LEASED
    assert one.ran == []


def test_lease_that_leads_nowhere_is_followed_by_dhcp(tmp_path: Path) -> None:
    replies: dict[str, Reply] = {LEASED: answers(404), KNOWN: GOOD}
    link = ScriptedLink(good)
    one = search(tmp_path, {LEASE_FILE: LEASES}, replies, dhcp=link)
    assert one.run() == KNOWN
    assert one.asked == [LEASED, KNOWN]


@pytest.mark.parametrize("server", [silent, lambda request: (offer(request, b""),)])
def test_known_address_is_tried_where_dhcp_is_silent_and_a_route_leads_there(
    tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    link = ScriptedLink(server)
    one = search(tmp_path, {"/proc/net/route": DEFAULT}, dhcp=link)
    assert one.run() == KNOWN
    assert f"Trying the known wire server {KNOWN}: " in caplog.text


def test_search_without_any_way_to_the_fabric_says_each_time_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Bounded, and never silent."""
    caplog.set_level("INFO")
    one = search(tmp_path, {})
    with pytest.raises(EndpointNotFound):
        one.run()
    assert caplog.text.count("there is no Ethernet interface that is up") == TRIES
