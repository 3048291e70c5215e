"""Network interfaces and the primary one."""

from __future__ import annotations

from pathlib import Path

from tests.support.machine import ETH0, LOOPBACK, Link, Machine, routes
from waagent.guest.interfaces import (
    Interface,
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
