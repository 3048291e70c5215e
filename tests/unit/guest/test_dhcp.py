"""The guest's DHCP client, its leases, and what manages an interface."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.machine import Machine
from waagent.guest import dhcp, processes
from waagent.guest.dhcp import NetworkDaemon
from waagent.guest.interfaces import read_interfaces


def lease(endpoint: str = "a8:3f:81:10") -> str:
    return f"lease {{\n  option unknown-245 {endpoint};\n  expire never;\n}}\n"


def process(pid: int, *argv: str) -> dict[str, str]:
    return {
        f"/proc/{pid}/comm": argv[0][:15] + "\n",
        f"/proc/{pid}/cmdline": "\0".join(argv) + "\0",
    }


@pytest.mark.parametrize(
    ("distro", "path", "content"),
    [
        ("debian-12", "/var/lib/dhcp/dhclient.eth0.leases", lease()),
        ("rhel-7.9", "/var/lib/dhclient/dhclient-eth0.lease", lease()),
        ("rhel-9.4", "/var/lib/NetworkManager/dhclient-x-eth0.lease", lease()),
        ("fedora-41", "/var/lib/NetworkManager/internal-x-eth0.lease", "OPTION_245=a83f8110\n"),
        ("ubuntu-25.10", "/run/systemd/netif/leases/2", "OPTION_245=a83f8110\n"),
        ("sles-15.5", "/run/wicked/leaseinfo.eth0.dhcp.ipv4", "UNKNOWN_245='a8:3f:81:10'\n"),
    ],
)
def test_wire_server_is_found_in_the_leases_of_the_distributions_client(
    tmp_path: Path, distro: str, path: str, content: str
) -> None:
    guest = Machine(distro, files={path: content}).boot(tmp_path)
    assert dhcp.find_leased_endpoint(guest.system, guest.profile.dhcp) == "168.63.129.16"


def test_wire_server_of_the_last_lease_file_counts(tmp_path: Path) -> None:
    files = {
        "/var/lib/dhcp/dhclient.eth0.leases": lease("0a:00:00:01"),
        "/var/lib/dhcp/dhclient.eth1.leases": lease("0a:00:00:02"),
        "/var/lib/dhcp/dhclient.eth2.leases": "",
    }
    guest = Machine(files=files, folders=["/var/lib/dhcp/dhclient.x.leases"]).boot(tmp_path)
    assert dhcp.find_leased_endpoint(guest.system, guest.profile.dhcp) == "10.0.0.2"


def test_wire_server_is_unknown_without_leases(tmp_path: Path) -> None:
    guest = Machine().boot(tmp_path)
    assert dhcp.find_leased_endpoint(guest.system, guest.profile.dhcp) is None


def test_lease_file_without_end_is_passed_over(tmp_path: Path) -> None:
    big = lease() + "#" * (dhcp.LARGEST_LEASE + 1)
    guest = Machine(files={"/var/lib/dhcp/dhclient.eth0.leases": big}).boot(tmp_path)
    assert dhcp.find_leased_endpoint(guest.system, guest.profile.dhcp) is None


def test_pids_of_the_client_are_found_though_the_kernel_cuts_its_name(tmp_path: Path) -> None:
    files = {
        **process(900, "systemd-networkd"),
        **process(80, "systemd-networkd"),
        **process(7, "systemd-network"[:9]),
        "/proc/self/comm": "x",
    }
    guest = Machine("ubuntu-24.04", files=files).boot(tmp_path)
    assert dhcp.find_pids(guest.system, guest.profile.dhcp) == (80, 900)
    assert processes.is_running(guest.system, 80)
    assert not processes.is_running(guest.system, 81)


def test_process_with_a_command_line_without_end_has_none(tmp_path: Path) -> None:
    guest = Machine(files=process(80, "dhclient", "x" * (processes.LARGEST + 1))).boot(tmp_path)
    assert dhcp.find_pids(guest.system, guest.profile.dhcp) == (80,)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/run/systemd/netif/links/2": "ADMIN_STATE=configured\n"}, NetworkDaemon.NETWORKD),
        ({"/run/systemd/netif/links/2": "ADMIN_STATE=unmanaged\n"}, None),
        ({"/run/systemd/netif/links/3": "ADMIN_STATE=configured\n"}, None),
        (
            {"/run/NetworkManager/devices/2": "[device]\nmanaged=true\n"},
            NetworkDaemon.NETWORK_MANAGER,
        ),
        ({"/run/NetworkManager/devices/2": "[device]\nmanaged=false\n"}, None),
        ({"/run/wicked/leaseinfo.eth0.dhcp.ipv4": ""}, NetworkDaemon.WICKED),
        (process(5, "dhcpcd"), NetworkDaemon.DHCPCD),
        (process(5, "dhclient", "-4", "eth0"), NetworkDaemon.DHCLIENT),
        (process(5, "dhclient", "-4", "eth1"), None),
        (process(5, "udhcpc", "-i", "eth0"), NetworkDaemon.UDHCPC),
        (
            {
                "/run/NetworkManager/devices/2": "[device]\nmanaged=true\n",
                **process(5, "dhclient", "eth0"),
            },
            NetworkDaemon.NETWORK_MANAGER,
        ),
        ({}, None),
    ],
)
def test_interface_is_managed_by_what_says_so(
    tmp_path: Path, files: dict[str, str], expected: object
) -> None:
    guest = Machine(files=files).boot(tmp_path)
    eth0 = read_interfaces(guest.system)[1]
    assert dhcp.find_network_daemon(guest.system, eth0) is expected


def test_wire_server_is_found_in_the_leases_of_a_client_that_nobody_expects_here(
    tmp_path: Path,
) -> None:
    """Debian's images for Azure have networkd; the leases of the expected client still win."""
    files = {"/run/systemd/netif/leases/2": "OPTION_245=0a000001\n"}
    guest = Machine("debian-13", files=files).boot(tmp_path)
    assert dhcp.find_leased_endpoint(guest.system, guest.profile.dhcp) == "10.0.0.1"
    own = {"/var/lib/dhcp/dhclient.eth0.leases": lease("0a:00:00:02")}
    guest = Machine("debian-13", files={**files, **own}).boot(tmp_path)
    assert dhcp.find_leased_endpoint(guest.system, guest.profile.dhcp) == "10.0.0.2"


@pytest.mark.parametrize(
    ("running", "expected"),
    [
        (["systemd-networkd"], (10,)),
        (["NetworkManager", "dhclient"], (11,)),
        (["systemd-networkd", "udhcpc"], (11,)),
        (["sshd"], ()),
    ],
)
def test_pids_are_those_of_the_client_that_runs_when_the_expected_one_does_not(
    tmp_path: Path, running: list[str], expected: tuple[int, ...]
) -> None:
    files: dict[str, str] = {}
    for pid, name in enumerate(running, 10):
        files.update(process(pid, name))
    guest = Machine("alpine-3.20", files=files).boot(tmp_path)
    assert dhcp.find_pids(guest.system, guest.profile.dhcp) == expected


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (("dhcpcd", "-q", "-b"), NetworkDaemon.DHCPCD),
        (("dhcpcd", "eth1"), None),
        (("dhcpcd: eth0 [ip4]",), NetworkDaemon.DHCPCD),
        (("dhcpcd: eth1 [ip4]",), None),
        (("dhcpcd: [manager] [ip4] [ip6]",), NetworkDaemon.DHCPCD),
        (("dhcpcd: [network proxy] 10.0.0.4",), None),
        (("dhclient",), NetworkDaemon.DHCLIENT),
        (("dhclient", "-4", "-lf", "/run/x", "eth1"), None),
        (("udhcpc",), NetworkDaemon.UDHCPC),
        (("udhcpc", "-b", "-ieth0"), NetworkDaemon.UDHCPC),
        (("udhcpc", "-i", "eth1"), None),
    ],
)
def test_client_manages_the_interfaces_that_its_command_line_says(
    tmp_path: Path, argv: tuple[str, ...], expected: object
) -> None:
    files = process(5, *argv)
    files["/proc/5/comm"] = argv[0].partition(":")[0] + "\n"
    guest = Machine(files=files).boot(tmp_path)
    eth0 = read_interfaces(guest.system)[1]
    assert dhcp.find_network_daemon(guest.system, eth0) is expected
