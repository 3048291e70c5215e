"""Setting the host name, and having the DHCP server learn it without losing the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.machine import LOOPBACK, Guest, Machine, routes
from tests.support.naming import with_stubborn_kernel
from tests.support.runner import Answer, Answers, Argv, fails, ok, times_out
from waagent.core.errors import GuestError
from waagent.guest import hostname
from waagent.guest.dhcp import NetworkDaemon

KERNEL = {"/proc/sys/kernel/hostname": "old-name\n", "/etc/hostname": "old-name\n"}
ROUTES = {"/proc/net/route": routes(("eth0", "00000000", "0100000A", "0003", 0, "00000000"))}
ADDRESS = {
    "/proc/net/route": routes(
        ("eth0", "00000000", "0100000A", "0003", 0, "00000000"),
        ("eth0", "0000000A", "00000000", "0001", 0, "00FFFFFF"),
    ),
    "/proc/net/fib_trie": "Local:\n  |-- 10.0.0.4\n    /32 host LOCAL\n",
}
RECORD = "/var/lib/waagent/published_hostname"
DHCLIENT = "/etc/dhcp/dhclient.conf"
WICKED = "/etc/sysconfig/network/dhcp"
HOSTNAMECTL = ("hostnamectl", "set-hostname", "vm-7", "--static")


def test_hostname_is_written_for_the_next_start_and_told_to_the_kernel(tmp_path: Path) -> None:
    guest = Machine("debian-12", files=KERNEL).boot(tmp_path)
    hostname.set_hostname(guest.system, guest.profile, "vm-7")
    assert guest.file("/etc/hostname") == "vm-7\n"
    assert hostname.read_hostname(guest.system) == "vm-7"
    assert guest.ran == []


def test_hostname_file_is_made_where_there_is_none(tmp_path: Path) -> None:
    guest = Machine(files={"/proc/sys/kernel/hostname": "a\n"}, folders=["/etc"]).boot(tmp_path)
    hostname.set_hostname(guest.system, guest.profile, "vm-7")
    assert guest.file("/etc/hostname") == "vm-7\n"


def test_hostname_is_left_to_hostnamectl_where_the_distribution_does_so(tmp_path: Path) -> None:
    guest = Machine("rhel-9.4", files=KERNEL, commands={HOSTNAMECTL: ok()}).boot(tmp_path)
    hostname.set_hostname(guest.system, guest.profile, "vm-7")
    assert guest.ran == [HOSTNAMECTL]
    assert guest.file("/etc/hostname") == "old-name\n"


@pytest.mark.parametrize("answer", [fails(1, "no bus"), times_out()])
def test_hostname_is_written_by_us_when_hostnamectl_cannot(tmp_path: Path, answer: Answer) -> None:
    guest = Machine("rhel-9.4", files=KERNEL, commands={HOSTNAMECTL: answer}).boot(tmp_path)
    hostname.set_hostname(guest.system, guest.profile, "vm-7")
    assert guest.file("/etc/hostname") == "vm-7\n"


def test_hostname_that_the_kernel_does_not_take_is_for_the_next_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guest = with_stubborn_kernel(Machine(files=KERNEL).boot(tmp_path))
    hostname.set_hostname(guest.system, guest.profile, "vm-7")
    assert guest.file("/etc/hostname") == "vm-7\n"
    assert hostname.read_hostname(guest.system) == "old-name"
    assert caplog.messages == [
        "Cannot tell the kernel the host name before the next start: Operation not permitted"
    ]


LONG_NAME = "a" * 65


@pytest.mark.parametrize(
    ("kept", "is_stubborn", "expected"),
    [
        ("vm-7", True, True),
        ("vm-7", False, False),
        ("old-name", True, False),
        ("old-name", False, False),
        ("", True, False),
        (LONG_NAME, False, True),
    ],
)
def test_kernel_takes_not_what_only_the_file_has(
    tmp_path: Path, kept: str, is_stubborn: bool, expected: bool
) -> None:
    guest = Machine(files={**KERNEL, "/etc/hostname": f"{kept}\n"}).boot(tmp_path)
    if is_stubborn:
        guest = with_stubborn_kernel(guest)
    wanted = LONG_NAME if kept == LONG_NAME else "vm-7"
    assert hostname.kernel_takes_not(guest.system, wanted) is expected
    assert hostname.read_hostname(guest.system) == "old-name"


def test_kernel_takes_what_it_has(tmp_path: Path) -> None:
    guest = with_stubborn_kernel(Machine(files=KERNEL).boot(tmp_path))
    assert not hostname.kernel_takes_not(guest.system, "old-name")


def test_hostname_with_an_underscore_is_used_as_it_is_given(tmp_path: Path) -> None:
    """No name for the DNS, but the kernel and DHCP take it, and the fabric may ask for it."""
    guest = Machine(files=KERNEL).boot(tmp_path)
    hostname.set_hostname(guest.system, guest.profile, "web_1")
    assert guest.file("/etc/hostname") == "web_1\n"


@pytest.mark.parametrize(
    "name", ["", "a b", "-x", "x-", 'a"b', "a;b", "a\nb", "x" * 254, "jürgen", "../x"]
)
def test_hostname_that_no_machine_can_have_changes_nothing(tmp_path: Path, name: str) -> None:
    guest = Machine(files=KERNEL).boot(tmp_path)
    with pytest.raises(GuestError, match="as a host name"):
        hostname.set_hostname(guest.system, guest.profile, name)
    with pytest.raises(GuestError, match="as a host name"):
        publish(guest, name)
    assert guest.file("/etc/hostname") == "old-name\n"


def publish(guest: Guest, name: str = "vm-7") -> object:
    return hostname.publish_hostname(guest.system, name, record=guest.path(RECORD))


def managed(tmp_path: Path, files: dict[str, str], commands: dict[Argv, Answers]) -> Guest:
    every = {**ROUTES, **files}
    return Machine(files=every, folders=["/var/lib/waagent"], commands=commands).boot(tmp_path)


def test_name_is_recorded_when_no_server_could_be_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = {
        "/run/systemd/netif/links/2": "ADMIN_STATE=configured\n",
        "/run/systemd/netif/leases/2": "ADDRESS=10.0.0.4\nSERVER_ADDRESS=168.63.129.16\n",
        **ADDRESS,
    }
    guest = managed(tmp_path, files, {})
    assert publish(guest) is NetworkDaemon.NETWORKD
    assert guest.file(RECORD) == "vm-7"
    assert "learns the host name of eth0 when systemd-networkd starts next" in caplog.text


def test_name_changes_nothing_where_nothing_manages_the_network(tmp_path: Path) -> None:
    guest = managed(tmp_path, {}, {})
    assert publish(guest) is None
    assert guest.ran == []
    assert guest.file(RECORD) == "vm-7"


def test_name_is_recorded_on_a_guest_without_a_network(tmp_path: Path) -> None:
    guest = Machine(links=[LOOPBACK], folders=["/var/lib/waagent"]).boot(tmp_path)
    assert publish(guest) is None
    assert guest.file(RECORD) == "vm-7"


def test_dhclient_is_written_the_name_and_not_restarted(tmp_path: Path) -> None:
    files = {
        "/proc/9/comm": "dhclient\n",
        "/proc/9/cmdline": "dhclient\0-4\0eth0\0",
        DHCLIENT: 'timeout 300;\n\nsend host-name "old";\nrequest subnet-mask;\n',
    }
    guest = managed(tmp_path, files, {})
    assert publish(guest) is NetworkDaemon.DHCLIENT
    assert guest.file(DHCLIENT) == (
        'timeout 300;\n\nrequest subnet-mask;\nsend host-name "vm-7";\n'
    )
    assert guest.ran == []


IFCFG = "/etc/sysconfig/network-scripts/ifcfg-eth0"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("DEVICE=eth0\n", "DEVICE=eth0\nDHCP_HOSTNAME=vm-7\n"),
        ("DHCP_HOSTNAME=old\nDEVICE=eth0\n", "DEVICE=eth0\nDHCP_HOSTNAME=vm-7\n"),
        ("DHCP_HOSTNAME=vm-7\nDEVICE=eth0\n", "DHCP_HOSTNAME=vm-7\nDEVICE=eth0\n"),
        ("#DHCP_HOSTNAME=x", "#DHCP_HOSTNAME=x\nDHCP_HOSTNAME=vm-7\n"),
    ],
)
def test_interface_file_of_rhel_gets_the_name(tmp_path: Path, before: str, after: str) -> None:
    guest = managed(tmp_path, {IFCFG: before}, {})
    assert hostname.configure_dhcp_name(guest.system, "vm-7") is (before != after)
    assert guest.file(IFCFG) == after


def test_interface_file_of_rhel_is_not_made_where_there_is_none(tmp_path: Path) -> None:
    guest = managed(tmp_path, {}, {})
    assert not hostname.configure_dhcp_name(guest.system, "vm-7")
    assert not guest.path(IFCFG).exists()


def test_old_file_of_suse_is_written_where_it_is_no_link(tmp_path: Path) -> None:
    guest = Machine(files={**KERNEL, "/etc/HOSTNAME": "old-name\n"}).boot(tmp_path)
    hostname.set_hostname(guest.system, guest.profile, "vm-7")
    assert guest.file("/etc/HOSTNAME") == guest.file("/etc/hostname") == "vm-7\n"


@pytest.mark.parametrize(
    "line",
    [
        "send host-name = gethostname();",
        'send host-name "<hostname>";',
        " send host-name = gethostname() ;",
    ],
)
def test_dhclient_that_sends_any_name_by_itself_is_left_alone(tmp_path: Path, line: str) -> None:
    guest = Machine(files={DHCLIENT: f"{line}\n"}).boot(tmp_path)
    assert not hostname.configure_dhcp_name(guest.system, "vm-7")
    assert guest.file(DHCLIENT) == f"{line}\n"


def test_dhclient_line_that_is_commented_out_does_not_count(tmp_path: Path) -> None:
    guest = Machine(files={DHCLIENT: "#send host-name = gethostname();\n"}).boot(tmp_path)
    assert hostname.configure_dhcp_name(guest.system, "vm-7")
    assert not hostname.configure_dhcp_name(guest.system, "vm-7")
    assert guest.file(DHCLIENT) == ('#send host-name = gethostname();\nsend host-name "vm-7";\n')


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('DHCLIENT_HOSTNAME_OPTION="AUTO"\n', 'DHCLIENT_HOSTNAME_OPTION="AUTO"\n'),
        ("DHCLIENT_HOSTNAME_OPTION=AUTO\n", "DHCLIENT_HOSTNAME_OPTION=AUTO\n"),
        ('DHCLIENT_HOSTNAME_OPTION="x"\nA=1\n', 'DHCLIENT_HOSTNAME_OPTION="vm-7"\nA=1\n'),
        ("A=1\n", 'A=1\nDHCLIENT_HOSTNAME_OPTION="vm-7"\n'),
    ],
)
def test_wicked_is_told_the_name_unless_it_sends_any_by_itself(
    tmp_path: Path, before: str, after: str
) -> None:
    guest = Machine("sles-15.5", files={WICKED: before}).boot(tmp_path)
    assert hostname.configure_dhcp_name(guest.system, "vm-7") is (before != after)
    assert guest.file(WICKED) == after


CLOUD_INIT = "/var/lib/cloud/data/set-hostname"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({RECORD: "recorded\n"}, "recorded"),
        ({CLOUD_INIT: '{"hostname": "from-cloud-init"}'}, "from-cloud-init"),
        ({CLOUD_INIT: '{"hostname": null}'}, "old-name"),
        ({CLOUD_INIT: "[1"}, "old-name"),
        ({CLOUD_INIT: "[1]"}, "old-name"),
        ({RECORD: ""}, "old-name"),
        ({}, "old-name"),
    ],
)
def test_published_name_is_the_recorded_one_or_becomes_it(
    tmp_path: Path, files: dict[str, str], expected: str
) -> None:
    every = {**KERNEL, **files}
    guest = Machine(files=every, folders=["/var/lib/waagent"]).boot(tmp_path)
    record = guest.path(RECORD)
    assert hostname.read_published_hostname(guest.system, record=record) == expected
    assert guest.file(RECORD).strip() == expected
