"""The DHCP server against real clients, in network namespaces of the test's own."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulator.cable import Wire, run_udhcpc
from tests.fabric.dhcp import DhcpServer
from tests.fabric.dhcp_packets import Lease
from tests.fabric.journal import Journal

pytestmark = pytest.mark.root

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def journal() -> Journal:
    """An empty one."""
    return Journal()


@pytest.fixture
def server(wire: Wire, journal: Journal) -> Iterator[DhcpServer]:
    """A server on the fabric's end."""
    with wire.fabric.call(lambda: DhcpServer("fabric0", Lease(), journal)) as running:
        yield running


def exchange(wire: Wire, data: bytes) -> bytes:
    """Send a datagram as a guest that has an address, and return what comes back."""

    def talk() -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\0")
            opened.bind(("", 68))
            opened.settimeout(10)
            opened.sendto(data, ("255.255.255.255", 67))
            return opened.recv(1500)

    wire.guest.run("ip", "address", "add", "10.0.0.9/24", "dev", "eth0")
    return wire.guest.call(talk)


def discover() -> bytes:
    """The 244 bytes that the agent's specification has (DAEMON 6.4)."""
    head = struct.pack("!BBBB4s", 1, 1, 6, 0, os.urandom(4)) + bytes(20)
    return head + bytes.fromhex("000d3a3382e8") + bytes(202) + bytes.fromhex("63825363350101ff")


@pytest.mark.usefixtures("server")
def test_udhcpc_gets_a_lease_with_the_wire_server_in_option_245(
    wire: Wire, journal: Journal, tmp_path: Path
) -> None:
    told = run_udhcpc(wire, tmp_path, "-O", "245", "-O", "staticroutes")
    assert told["ip"] == "10.0.0.4"
    assert told["router"] == "10.0.0.1"
    assert told["opt245"] == "a83f8110"
    assert "168.63.129.16/32 10.0.0.1" in told["staticroutes"]
    assert "10.0.0.4/24" in wire.guest.run("ip", "address", "show", "eth0")
    assert [e.method for e in journal.entries("dhcp")] == ["DISCOVER", "REQUEST"]
    assert journal.violations == ()


@pytest.mark.usefixtures("server")
def test_client_that_insists_on_another_address_is_refused_and_starts_anew(
    wire: Wire, tmp_path: Path
) -> None:
    told = run_udhcpc(wire, tmp_path, "-r", "10.0.0.77")
    assert told["ip"] == "10.0.0.4"


@pytest.mark.usefixtures("server")
def test_name_that_a_client_sends_is_in_the_journal(
    wire: Wire, journal: Journal, tmp_path: Path
) -> None:
    run_udhcpc(wire, tmp_path, "-x", "hostname:vm-7")
    assert journal.entries("dhcp")[0].url.endswith("/vm-7")


@pytest.mark.usefixtures("server")
def test_short_discover_of_a_guest_agent_is_answered_once(wire: Wire, journal: Journal) -> None:
    sent = discover()
    assert len(sent) == 244
    received = exchange(wire, sent)
    assert received[4:8] == sent[4:8]
    assert bytes((245, 4, 168, 63, 129, 16)) in received
    assert journal.violations == ()


@pytest.mark.usefixtures("server")
def test_bad_datagram_is_a_violation_and_the_server_goes_on(wire: Wire, journal: Journal) -> None:
    def send_rubbish() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
            opened.sendto(b"rubbish", ("10.0.0.1", 67))

    wire.guest.run("ip", "address", "add", "10.0.0.8/24", "dev", "eth0")
    wire.guest.call(send_rubbish)
    journal.wait(lambda: journal.violations, 10, "the complaint")
    assert "7 bytes are too few" in journal.violations[0]
    assert exchange(wire, discover())[0] == 2


def test_standalone_server_serves_until_it_is_told_to_stop(wire: Wire, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "tests.fabric.dhcp", "fabric0", "--address", "10.0.0.33/24"]
    running = wire.fabric.call(
        lambda: subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    )
    with running:
        assert running.stdout is not None
        assert running.stdout.readline().startswith("Serving DHCP on fabric0")
        assert run_udhcpc(wire, tmp_path)["ip"] == "10.0.0.33"
        running.terminate()
        assert running.wait(10) == 0
        assert "DISCOVER dhcp://" in running.stdout.read()
