"""Network interfaces and the primary one."""

from __future__ import annotations

from pathlib import Path

from tests.support.machine import ETH0, LOOPBACK, Link, Machine, routes
from waagent.guest.interfaces import (
    MOST_ASKED,
    Interface,
    find_dhcp_interfaces,
    find_primary_interface,
    parse_local_addresses,
    read_interfaces,
)

ETH1 = Link("eth1", index=3, mac="00:0d:3a:00:00:02")
INFINIBAND = Link("ib0", index=4, mac=":".join(["00"] * 20), type="32", flags="0x1002")
ROUTES = routes(
    ("eth0", "00000000", "0100000A", "0003", 100, "00000000"),
    ("eth0", "0000000A", "00000000", "0001", 0, "00FFFFFF"),
    ("eth1", "0001000A", "00000000", "0001", 0, "00FFFFFF"),
)
TRIE = """Main:
  +-- 0.0.0.0/0 3 0 4
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.0.0.0/24 2 0 2
        |-- 10.0.0.0
           /24 link UNICAST
        |-- 10.0.0.4
           /32 host LOCAL
        |-- 10.0.0.255
           /32 link BROADCAST
     |-- 10.0.1.7
        /32 host LOCAL
        |-- 127.0.0.0
           /8 host LOCAL
        |-- 127.0.0.1
           /32 host LOCAL
Local:
     |-- 10.0.0.4
        /32 host LOCAL
"""
NETWORK = {"/proc/net/route": ROUTES, "/proc/net/fib_trie": TRIE}


def test_interfaces_are_read_with_their_addresses(tmp_path: Path) -> None:
    guest = Machine(files=NETWORK, links=[ETH1, ETH0, LOOPBACK]).boot(tmp_path)
    assert read_interfaces(guest.system) == (
        Interface("lo", 1, "00:00:00:00:00:00", True, True, ("127.0.0.1",)),
        Interface("eth0", 2, "00:0D:3A:00:00:01", True, False, ("10.0.0.4",)),
        Interface("eth1", 3, "00:0D:3A:00:00:02", True, False, ("10.0.1.7",)),
    )


def test_mac_is_six_bytes_or_none(tmp_path: Path) -> None:
    guest = Machine(links=[ETH0, INFINIBAND]).boot(tmp_path)
    ethernet, infiniband = read_interfaces(guest.system)
    assert ethernet.mac_bytes == b"\x00\x0d\x3a\x00\x00\x01"
    assert infiniband.mac_bytes == b""


def test_primary_is_the_interface_of_the_default_route(tmp_path: Path) -> None:
    table = routes(("eth1", "00000000", "0100000A", "0003", 100, "00000000"))
    guest = Machine(files={"/proc/net/route": table}, links=[ETH0, ETH1]).boot(tmp_path)
    primary = find_primary_interface(guest.system)
    assert primary is not None
    assert primary.name == "eth1"


def test_primary_without_a_default_route_is_the_first_that_is_up(tmp_path: Path) -> None:
    down = Link("eth0", index=2, flags="0x1002")
    guest = Machine(links=[LOOPBACK, down, ETH1]).boot(tmp_path)
    primary = find_primary_interface(guest.system)
    assert primary is not None
    assert primary.name == "eth1"


def test_primary_of_a_guest_without_a_network_is_none_at_once(tmp_path: Path) -> None:
    assert find_primary_interface(Machine(links=[LOOPBACK]).boot(tmp_path / "a").system) is None
    assert find_primary_interface(Machine(links=[]).boot(tmp_path / "b").system) is None


def test_what_is_no_interface_is_left_out(tmp_path: Path) -> None:
    guest = Machine(files={"/sys/class/net/bonding_masters": "\n"}, links=[ETH0]).boot(tmp_path)
    assert [each.name for each in read_interfaces(guest.system)] == ["eth0"]


def test_local_addresses_are_told_once_each() -> None:
    assert parse_local_addresses(TRIE) == ("10.0.0.4", "10.0.1.7", "127.0.0.1")
    assert parse_local_addresses("/32 host LOCAL\n") == ()


def test_dhcp_is_asked_on_the_primary_first_then_on_hardware(tmp_path: Path) -> None:
    """Not on a bridge for containers, nor on the port that carries another interface."""
    table = routes(("eth1", "00000000", "0100000A", "0003", 100, "00000000"))
    docker = Link("docker0", index=5, mac="02:42:00:00:00:01")
    port = Link("eth2", index=6, mac="00:0d:3a:00:00:02")
    down = Link("eth3", index=7, mac="00:0d:3a:00:00:04", flags="0x1002")
    files = {
        "/proc/net/route": table,
        **{f"/sys/class/net/{name}/device": "" for name in ("eth0", "eth1", "eth2", "eth3")},
        "/sys/class/net/eth2/master": "",
    }
    links = [LOOPBACK, ETH0, ETH1, docker, port, down]
    guest = Machine(files=files, links=links).boot(tmp_path)
    assert [each.name for each in find_dhcp_interfaces(guest.system)] == ["eth1", "eth0"]


def test_dhcp_is_asked_on_virtual_interfaces_where_there_is_no_hardware(tmp_path: Path) -> None:
    nobody = Link("tun0", index=5, mac="00:00:00:00:00:00")
    links = [LOOPBACK, ETH0, ETH1, INFINIBAND, nobody]
    guest = Machine(links=links).boot(tmp_path)
    assert [each.name for each in find_dhcp_interfaces(guest.system)] == ["eth0", "eth1"]


def test_dhcp_is_asked_on_a_bounded_number_of_interfaces(tmp_path: Path) -> None:
    links = [Link(f"eth{n}", index=n, mac=f"00:0d:3a:00:00:{n:02x}") for n in range(1, 20)]
    guest = Machine(links=links).boot(tmp_path)
    assert len(find_dhcp_interfaces(guest.system)) == MOST_ASKED
