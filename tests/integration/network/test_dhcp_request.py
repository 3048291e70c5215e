"""Our DHCP request against a real dnsmasq, beside a firewall and a real client."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.namespaces import NetworkNamespace
from tests.emulator.cable import Wire

pytestmark = pytest.mark.root

ROOT = Path(__file__).resolve().parents[3]
KNOWN = "168.63.129.16"
OTHER = "10.0.0.77"
# /sys shows the network of whoever mounted it; leases of this machine are not the guest's.
VIEW = (
    "mount -t sysfs sysfs /sys && mount -t tmpfs tmpfs /run"
    ' && for each in /var/lib/dhcp /var/lib/dhcpcd; do [ ! -d "$each" ] ||'
    ' mount -t tmpfs tmpfs "$each"; done && exec "$@"'
)
DROP_ALL = """
table ip guard {
  chain input { type filter hook input priority 0; policy drop; }
  chain output { type filter hook output priority 0; policy drop; }
}
"""


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A guest and a fabric at the two ends of a cable."""
    with contextlib.closing(Wire()) as made:
        made.guest.run("ip", "link", "set", "lo", "up")
        yield made


def program(name: str, package: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is missing: install the package {package}"
    return found


@contextlib.contextmanager
def dnsmasq(network: NetworkNamespace, folder: Path, *options: str) -> Iterator[None]:
    """A real DHCP server on the fabric's end; in the block it is ready."""
    argv = [
        program("dnsmasq", "dnsmasq-base"),
        *("--conf-file=/dev/null", "--keep-in-foreground", "--log-facility=-", "--port=0"),
        *("--interface=fabric0", "--bind-interfaces", "--no-ping", "--user=root", "--log-dhcp"),
        *("--dhcp-range=10.0.0.4,10.0.0.9,255.255.255.0,1h", f"--pid-file={folder}/dnsmasq.pid"),
        *(f"--dhcp-leasefile={folder}/dnsmasq.leases", "--dhcp-option=3,10.0.0.1", *options),
    ]
    server = network.call(
        lambda: subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
    )
    with server:
        assert server.stderr is not None
        for line in server.stderr:
            if b"sockets bound exclusively" in line:
                break
        try:
            yield
        finally:
            server.terminate()
            server.stderr.read()


def wire_server(address: str) -> str:
    return "--dhcp-option-force=245," + ":".join(f"{int(part):02x}" for part in address.split("."))


def search(wire: Wire, folder: Path, *, way: str = "any", endpoint: str = KNOWN) -> tuple[str, str]:
    """What the agent finds in the guest's network, and its log."""
    lib = folder / "lib"
    lib.mkdir(exist_ok=True)
    inner = [sys.executable, "-m", "tests.integration.network.inside", str(lib), way, endpoint]
    argv = ["unshare", "-m", "/bin/sh", "-c", VIEW, "view", *inner]
    done = wire.guest.call(
        lambda: subprocess.run(
            argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
        )
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.get("endpoint") == found.get("saved"), done.stderr
    return str(found.get("endpoint")), done.stderr


def routes(wire: Wire) -> list[str]:
    return [line.strip() for line in wire.guest.run("ip", "route", "show").splitlines()]


def test_guest_without_an_address_behind_a_firewall_is_told_of_the_wire_server(
    wire: Wire, tmp_path: Path
) -> None:
    """The answer goes to an address that it does not have; no route, no rule is changed."""
    subprocess_input = tmp_path / "rules"
    subprocess_input.write_text(DROP_ALL, encoding="ascii")
    wire.guest.run("nft", "-f", str(subprocess_input))
    before = wire.guest.run("nft", "list", "ruleset")
    with dnsmasq(wire.fabric, tmp_path, wire_server(OTHER)):
        found, log = search(wire, tmp_path, endpoint=OTHER)
    assert found == OTHER, log
    assert "DHCP request 1 is sent on eth0" in log
    assert "DHCP request 2" not in log
    assert wire.guest.run("nft", "list", "ruleset") == before
    assert routes(wire) == []


def test_routes_of_option_121_win_and_are_added_once(wire: Wire, tmp_path: Path) -> None:
    wire.guest.run("ip", "address", "add", "10.0.0.9/24", "dev", "eth0")
    standard = "--dhcp-option-force=121,0.0.0.0/0,10.0.0.1,168.63.129.17/32,10.0.0.2"
    private = "--dhcp-option-force=249,192.0.2.0/24,10.0.0.3"
    expected = [
        "default via 10.0.0.1 dev eth0",
        "10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.9",
        "168.63.129.17 via 10.0.0.2 dev eth0",
    ]
    with dnsmasq(wire.fabric, tmp_path, wire_server(KNOWN), standard, private):
        for _ in range(2):
            found, log = search(wire, tmp_path)
            assert found == KNOWN, log
            assert routes(wire) == expected
    assert "Cannot add the route" not in log


def test_routes_of_option_249_and_3_are_added_and_none_is_replaced(
    wire: Wire, tmp_path: Path
) -> None:
    wire.guest.run("ip", "address", "add", "10.0.0.9/24", "dev", "eth0")
    wire.guest.run("ip", "route", "add", "192.0.2.0/24", "via", "10.0.0.5")
    private = "--dhcp-option-force=249,192.0.2.0/24,10.0.0.3,198.51.100.0/24,10.0.0.3"
    with dnsmasq(wire.fabric, tmp_path, wire_server(KNOWN), private):
        found, log = search(wire, tmp_path)
    assert found == KNOWN, log
    assert routes(wire) == [
        "default via 10.0.0.1 dev eth0",
        "10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.9",
        "192.0.2.0/24 via 10.0.0.5 dev eth0",
        "198.51.100.0/24 via 10.0.0.3 dev eth0",
    ]


@pytest.mark.parametrize("way", ["any", "udp"])
def test_request_goes_beside_a_running_dhclient(wire: Wire, tmp_path: Path, way: str) -> None:
    """It has port 68, and keeps running with its address."""
    script = tmp_path / "script"
    script.write_text(
        '#!/bin/sh\n[ "$reason" != BOUND ] ||'
        ' ip address add "$new_ip_address/24" dev "$interface"\n',
        encoding="ascii",
    )
    script.chmod(0o755)
    client = program("dhclient", "isc-dhcp-client")
    argv = [client, "-4", "-d", "-cf", "/dev/null", "-sf", str(script)]
    argv += ["-lf", f"{tmp_path}/leases", "-pf", f"{tmp_path}/pid", "eth0"]
    with dnsmasq(wire.fabric, tmp_path, wire_server(KNOWN)):
        running = wire.guest.call(
            lambda: subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        )
        with running:
            assert running.stderr is not None
            for line in running.stderr:
                if b"bound to" in line:
                    break
            try:
                before = wire.guest.run("ip", "-brief", "address", "show", "dev", "eth0")
                found, log = search(wire, tmp_path, way=way)
                assert found == KNOWN, log
                assert running.poll() is None
                after = wire.guest.run("ip", "-brief", "address", "show", "dev", "eth0")
                assert after == before
            finally:
                running.terminate()
                running.stderr.read()
    assert "DHCP request 1 is sent on eth0" in log
