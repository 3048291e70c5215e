"""What is said to the DHCP server of the host name, by whom, and what becomes of failures."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Optional, Union

import pytest

from tests.support.machine import Guest, Machine, routes
from tests.support.runner import Answer, Answers, Argv, fails, missing, ok, times_out
from waagent.guest import publishing
from waagent.guest.bound import Bound
from waagent.guest.dhcp import NetworkDaemon
from waagent.guest.interfaces import Interface, read_interfaces
from waagent.guest.leases import packet_options

FILES = {
    "/proc/net/route": routes(("eth0", "0000000A", "00000000", "0001", 0, "00FFFFFF")),
    "/proc/net/fib_trie": "Local:\n  |-- 10.0.0.4\n    /32 host LOCAL\n",
    "/run/systemd/netif/leases/2": "ADDRESS=10.0.0.4\nSERVER_ADDRESS=168.63.129.16\n",
    "/run/NetworkManager/devices/2": "[dhcp4]\ndhcp4.ip_address=10.0.0.4\n",
}
MODIFY = ("nmcli", "device", "modify", "eth0", "ipv4.dhcp-hostname", "vm-7")
SHOW = ("nmcli", "-g", "GENERAL.CON-UUID", "device", "show", "eth0")
PROFILE = ("nmcli", "-g", "ipv4.dhcp-hostname", "connection", "show", "u-1")
CHANGE = ("nmcli", "connection", "modify", "u-1", "ipv4.dhcp-hostname", "vm-7")
NETWORKD, MANAGER = NetworkDaemon.NETWORKD, NetworkDaemon.NETWORK_MANAGER


def reply(kind: int) -> bytes:
    return bytes(236) + b"\x63\x82\x53\x63" + bytes((53, 1, kind, 255))


class Server:
    """Gives the answers in turn and keeps the packets."""

    def __init__(self, *answers: Union[bytes, OSError, None]) -> None:
        self._answers = list(answers)
        self.packets: list[bytes] = []

    def __call__(
        self, packet: bytes, interface: Interface, bound: Bound, within_s: float
    ) -> Optional[bytes]:
        self.packets.append(packet)
        answer = self._answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer


def tell(
    guest: Guest, server: Server, manager: NetworkDaemon = NETWORKD, name: str = "vm-7"
) -> bool:
    eth0 = read_interfaces(guest.system)[1]
    return publishing.tell_name(guest.system, eth0, manager, name, exchange=server)


def boot(tmp_path: Path, commands: Optional[dict[Argv, Answers]] = None) -> Guest:
    return Machine(files=FILES, commands=commands or {}).boot(tmp_path)


def test_server_is_sent_a_request_that_extends_the_lease_and_says_the_name(tmp_path: Path) -> None:
    guest, server = boot(tmp_path), Server(reply(5))
    assert tell(guest, server)
    (packet,) = server.packets
    assert packet[:4] == bytes((1, 1, 6, 0))
    assert packet[12:16] == bytes((10, 0, 0, 4))
    assert packet[28:34] == bytes.fromhex("000d3a000001")
    assert packet[236:240] == b"\x63\x82\x53\x63"
    assert list(packet_options(packet)) == [(53, bytes((3,))), (12, b"vm-7")]
    assert guest.ran == []


def test_request_has_the_identifier_that_the_client_goes_by() -> None:
    eth0 = Interface("eth0", 2, "00:0D:3A:00:00:01", True, False, ("10.0.0.4",))
    packet = publishing.render_request(eth0, Bound("10.0.0.4", None, b"\1x"), "n", b"abcd")
    assert packet[4:8] == b"abcd"
    assert list(packet_options(packet)) == [(53, bytes((3,))), (61, b"\1x"), (12, b"n")]


def test_longest_name_fits_into_a_request() -> None:
    eth0 = Interface("eth0", 2, "00:0D:3A:00:00:01", True, False, ("10.0.0.4",))
    packet = publishing.render_request(eth0, Bound("10.0.0.4"), "n" * 253, b"abcd")
    assert list(packet_options(packet))[1] == (12, b"n" * 253)


def test_server_that_is_silent_at_first_is_asked_again(tmp_path: Path) -> None:
    server = Server(None, None, reply(5))
    assert tell(boot(tmp_path), server)
    assert len(server.packets) == 3


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((None, None, None), "No DHCP server answered when it was told the host name in 7 s"),
        ((reply(6),), "The DHCP server refuses the host name for 10.0.0.4"),
        ((b"",), "The DHCP server refuses the host name for 10.0.0.4"),
        (
            (OSError(errno.EPERM, "Operation not permitted"),),
            "Cannot tell the DHCP server the host name: Operation not permitted",
        ),
    ],
)
def test_failure_is_said_in_the_log(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    answers: tuple[Union[bytes, OSError, None], ...],
    expected: str,
) -> None:
    assert not tell(boot(tmp_path), Server(*answers))
    assert expected in caplog.text


def test_link_without_a_lease_has_no_server_to_be_told(tmp_path: Path) -> None:
    guest = Machine(files={}).boot(tmp_path)
    assert tell(guest, Server())


def test_folder_that_stands_for_a_machine_never_sends_anything(tmp_path: Path) -> None:
    guest = boot(tmp_path)
    eth0 = read_interfaces(guest.system)[1]
    assert not publishing.tell_name(guest.system, eth0, NETWORKD, "vm-7")


def test_network_manager_asks_again_with_the_name(tmp_path: Path) -> None:
    guest = boot(tmp_path, {MODIFY: ok(), SHOW: ok("u-1\n"), PROFILE: ok("\n")})
    assert tell(guest, Server(), MANAGER)
    assert guest.ran == [MODIFY, SHOW, PROFILE]


def test_warning_of_nmcli_is_no_part_of_its_answer(tmp_path: Path) -> None:
    """An update of NetworkManager has nmcli warn of the older one that still runs."""
    warning = "Warning: nmcli (1.42.4) and NetworkManager (1.40.0) versions don't match.\n"

    def says(text: str) -> Answer:
        return Answer(stdout=text, stderr=warning)

    guest = boot(tmp_path, {MODIFY: says(""), SHOW: says("u-1\n"), PROFILE: says("\n")})
    assert tell(guest, Server(), MANAGER)
    assert guest.ran == [MODIFY, SHOW, PROFILE]


def test_profile_of_network_manager_that_has_another_name_gets_this_one(tmp_path: Path) -> None:
    commands: dict[Argv, Answers] = {
        MODIFY: ok(),
        SHOW: ok("u-1\n"),
        PROFILE: ok("old\n"),
        CHANGE: ok(),
    }
    guest = boot(tmp_path, commands)
    assert tell(guest, Server(), MANAGER)
    assert guest.ran[-1] == CHANGE


@pytest.mark.parametrize("answer", [fails(8, "not running"), times_out(), missing()])
def test_server_is_told_by_us_when_nmcli_cannot(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: Answer
) -> None:
    server = Server(reply(5))
    assert tell(boot(tmp_path, {("nmcli",): answer}), server, MANAGER)
    assert len(server.packets) == 1
    assert "Cannot" in caplog.text
