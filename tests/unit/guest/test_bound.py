"""The lease that an interface is bound to, as each DHCP client writes it down."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.machine import ANY_USER, Machine, routes
from waagent.guest.bound import Bound, find_bound, parse_client_id
from waagent.guest.dhcp import NetworkDaemon
from waagent.guest.interfaces import read_interfaces
from waagent.guest.leases import MAGIC, packet_options

ADDRESS = {
    "/proc/net/route": routes(("eth0", "0000000A", "00000000", "0001", 0, "00FFFFFF")),
    "/proc/net/fib_trie": "Local:\n  |-- 10.0.0.4\n    /32 host LOCAL\n",
}
PACKET = (
    bytes(16) + bytes((10, 0, 0, 4)) + bytes(216) + b"\x63\x82\x53\x63"
    b"\x35\x01\x05\x36\x04\xa8\x3f\x81\x10\xff"
)
DHCLIENT = """default-duid "x";
lease {
  interface "eth0";
  fixed-address 10.0.0.9;
  option dhcp-server-identifier 10.0.0.1;
}
lease {
  interface "eth0";
  fixed-address 10.0.0.4;
  option dhcp-server-identifier 168.63.129.16;
  option dhcp-client-identifier 1:0:d:3a:0:0:1;
}
lease {
  interface "eth1";
  fixed-address 10.0.0.4;
  option dhcp-server-identifier 10.0.0.2;
}
"""
MANAGERS = """[dhcp4]
dhcp4.ip_address=10.0.0.4
dhcp4.dhcp_server_identifier=168.63.129.16
dhcp4.dhcp_client_identifier=01:00:0d:3a:00:00:01
"""
MAC_ID = bytes.fromhex("01000d3a000001")
RUNS = {"/proc/9/comm": "dhclient\n", "/proc/9/cmdline": "dhclient\0-lf\0/run/x\0eth0\0"}


def find(tmp_path: Path, files: dict[str, object], manager: NetworkDaemon) -> object:
    guest = Machine(files={**ADDRESS, **files}).boot(tmp_path)  # type: ignore[dict-item]
    return find_bound(guest.system, read_interfaces(guest.system)[1], manager)


@pytest.mark.parametrize(
    ("manager", "path", "content", "expected"),
    [
        (
            NetworkDaemon.NETWORKD,
            "/run/systemd/netif/leases/2",
            "# private\nADDRESS=10.0.0.4\nSERVER_ADDRESS=168.63.129.16\nCLIENTID=01000d3a000001\n",
            Bound("10.0.0.4", "168.63.129.16", MAC_ID),
        ),
        (
            NetworkDaemon.NETWORK_MANAGER,
            "/run/NetworkManager/devices/2",
            MANAGERS,
            Bound("10.0.0.4", "168.63.129.16", MAC_ID),
        ),
        (
            NetworkDaemon.WICKED,
            "/run/wicked/leaseinfo.eth0.dhcp.ipv4",
            "IPADDR='10.0.0.4/24'\nSERVERID='168.63.129.16'\nCLIENTID='01:00:0d:3a:00:00:01'\n",
            Bound("10.0.0.4", "168.63.129.16", MAC_ID),
        ),
        (
            NetworkDaemon.DHCPCD,
            "/var/lib/dhcpcd/eth0.lease",
            PACKET,
            Bound("10.0.0.4", "168.63.129.16"),
        ),
        (
            NetworkDaemon.DHCLIENT,
            "/var/lib/dhcp/dhclient.eth0.leases",
            DHCLIENT,
            Bound("10.0.0.4", "168.63.129.16", MAC_ID),
        ),
        (
            NetworkDaemon.DHCLIENT,
            "/run/x",
            DHCLIENT,
            Bound("10.0.0.4", "168.63.129.16", MAC_ID),
        ),
        (NetworkDaemon.UDHCPC, "/run/x", "", Bound("10.0.0.4", None, MAC_ID)),
    ],
)
def test_lease_is_found_where_the_client_writes_it(
    tmp_path: Path, manager: NetworkDaemon, path: str, content: object, expected: Bound
) -> None:
    assert find(tmp_path, {path: content, **RUNS}, manager) == expected


@pytest.mark.root
def test_file_that_somebody_elses_dhclient_names_is_not_read(tmp_path: Path) -> None:
    guest = Machine(files={**ADDRESS, **RUNS, "/run/x": DHCLIENT}).boot(tmp_path)
    interface = read_interfaces(guest.system)[1]
    assert find_bound(guest.system, interface, NetworkDaemon.DHCLIENT) is not None
    os.chown(guest.path("/proc/9"), ANY_USER, ANY_USER)
    assert find_bound(guest.system, interface, NetworkDaemon.DHCLIENT) is None


@pytest.mark.parametrize("rubbish", ["a ", "a", "option ", " ", "a\n"], ids=repr)
def test_lease_of_rubbish_is_read_quickly(tmp_path: Path, rubbish: str) -> None:
    text = DHCLIENT + "lease {" + rubbish * (900_000 // len(rubbish))
    files: dict[str, object] = {"/var/lib/dhcp/dhclient.leases": text}
    found = find(tmp_path, files, NetworkDaemon.DHCLIENT)
    assert found == Bound("10.0.0.4", "168.63.129.16", MAC_ID)


@pytest.mark.parametrize("manager", [each for each in NetworkDaemon if each.value != "udhcpc"])
def test_lease_is_not_there_where_the_client_wrote_none(
    tmp_path: Path, manager: NetworkDaemon
) -> None:
    assert find(tmp_path, {}, manager) is None


@pytest.mark.parametrize(
    "text", ["", "ADDRESS=10.0.0.5\n", "ADDRESS=\n", "\0\0", "ADDRESS=10.0.0.4.4\n"]
)
def test_lease_of_an_address_that_the_interface_has_not_is_none(tmp_path: Path, text: str) -> None:
    files: dict[str, object] = {"/run/systemd/netif/leases/2": text}
    assert find(tmp_path, files, NetworkDaemon.NETWORKD) is None


def test_server_that_is_no_address_is_unknown(tmp_path: Path) -> None:
    text = "ADDRESS=10.0.0.4\nSERVER_ADDRESS=x\nCLIENTID=?\n"
    files: dict[str, object] = {"/run/systemd/netif/leases/2": text}
    assert find(tmp_path, files, NetworkDaemon.NETWORKD) == Bound("10.0.0.4")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1:0:d", b"\1\0\r"), ("010d", b"\1\r"), ('"x"', b""), ("", b""), ("1:zz", b"")],
)
def test_client_identifier_is_bytes_or_nothing(text: str, expected: bytes) -> None:
    assert parse_client_id(text) == expected


@pytest.mark.parametrize("data", [b"\x35", b"\x35\x05\x01", b"\0\0\xff\x35\x01\x05"])
def test_options_end_where_they_are_broken_or_said_to_end(data: bytes) -> None:
    assert list(packet_options(bytes(236) + MAGIC + data)) == []
