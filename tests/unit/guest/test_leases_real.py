"""The parsers held against leases that real clients wrote (tests/data/leases), and hostile ones."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.support.clock import START
from tests.support.machine import DATA, Machine
from waagent.guest import dhcp
from waagent.guest.leases import parse_assignments, parse_dhclient, parse_packet

KNOWN = "168.63.129.16"
FOLDER = "/var/lib/dhcp"
GOOD = "lease {\n  option unknown-245 a8:3f:81:10;\n  expire never;\n}\n"
WITHIN = datetime(2026, 11, 24, 14, 0, tzinfo=timezone.utc)
AFTER = datetime(2026, 11, 24, 14, 50, tzinfo=timezone.utc)


def real(name: str) -> bytes:
    return (DATA / "leases" / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dhclient.utc.leases", KNOWN),
        ("dhclient.local.leases", KNOWN),
        ("dhclient.released.leases", KNOWN),
        ("dhclient.printable.leases", "100.101.102.103"),
    ],
)
def test_real_dhclient_lease_counts_until_it_expires(name: str, expected: str) -> None:
    text = real(name).decode()
    assert parse_dhclient(text, WITHIN) == expected
    endless = name == "dhclient.printable.leases"
    assert parse_dhclient(text, AFTER) == (expected if endless else None)


def test_real_lease_of_networkd_names_the_wire_server() -> None:
    assert parse_assignments(real("networkd.2").decode()) == KNOWN


def test_real_lease_of_dhcpcd_counts_for_the_hour_that_is_in_it() -> None:
    data = real("dhcpcd.eth0.lease")
    assert parse_packet(data) == KNOWN
    assert parse_packet(data, age_s=3599.0) == KNOWN
    assert parse_packet(data, age_s=3600.0) is None


def test_dhcpcd_lease_begins_when_its_file_is_written(tmp_path: Path) -> None:
    path = "/var/lib/dhcpcd/eth0.lease"
    guest = Machine("alpine-3.20", files={path: real("dhcpcd.eth0.lease")}).boot(tmp_path)
    for age_s, expected in ((60, KNOWN), (7200, None)):
        moment = START.timestamp() - age_s
        os.utime(guest.path(path), (moment, moment))
        assert dhcp.find_leased_endpoint(guest.system, guest.profile.dhcp) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"defg"', "100.101.102.103"),
        ('"a;}\\""', "97.59.125.34"),
        ('"\\012\\000\\000\\001"', "10.0.0.1"),
        ('"too long"', None),
        ('"no end', None),
        ("7f:00:00:01", None),
        ("00:00:00:01", None),
        ("e0:00:00:01", None),
        ("f0:00:00:01", None),
        ("a8:3f:81:10:11", None),
        ("zz:3f:81:10", None),
    ],
)
def test_dhclient_value_is_four_bytes_that_a_server_can_have(text: str, expected: object) -> None:
    lease = f"lease {{\n  option unknown-245 {text};\n  expire 0 never;\n}}\n"
    assert parse_dhclient(lease, WITHIN) == expected


def test_address_that_no_server_has_is_refused_with_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    assert parse_assignments("OPTION_245=e0000001\n") is None
    assert "DHCP option 245 is not used: 0xe0000001 is no address of a server" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "private_245=a8:3f:81:10\n",
        "<lease>\n <unknown-245>a8:3f:81:10</unknown-245>\n</lease>\n",
        "<option><code>245</code> <data>a8:3f:81:10</data></option>",
    ],
    ids=["NetworkManager", "wicked", "wicked, by code"],
)
def test_lease_of_networkmanager_and_wicked_is_read(text: str) -> None:
    assert parse_assignments(text) == KNOWN


def test_ipv6_lease_says_nothing_of_the_wire_server() -> None:
    assert parse_dhclient(GOOD.replace("lease {", "lease6 {"), WITHIN) is None


def test_newest_lease_file_counts_whatever_its_name(tmp_path: Path) -> None:
    old, new = f"{FOLDER}/dhclient.eth1.leases", f"{FOLDER}/dhclient.eth0.leases"
    other = GOOD.replace("a8:3f:81:10", "0a:00:00:09")
    guest = Machine(files={old: GOOD, new: other}).boot(tmp_path)
    os.utime(guest.path(old), (1000, 1000))
    os.utime(guest.path(new), (2000, 2000))
    assert dhcp.find_leased_endpoint(guest.system, guest.profile.dhcp) == "10.0.0.9"


def test_hostile_lease_files_do_not_hide_the_good_one(tmp_path: Path) -> None:
    """A loop, a link to nowhere, a pipe, bytes, one too large; none is waited for."""
    files: dict[str, str | bytes] = {
        f"{FOLDER}/dhclient.good.leases": GOOD,
        f"{FOLDER}/dhclient.bytes.leases": bytes(range(256)) * 100,
        f"{FOLDER}/dhclient.large.leases": "x" * (dhcp.LARGEST_LEASE + 1),
    }
    links = {
        f"{FOLDER}/dhclient.loop.leases": f"{FOLDER}/dhclient.loop.leases",
        f"{FOLDER}/dhclient.nowhere.leases": "/nowhere",
    }
    guest = Machine(files=files, symlinks=links).boot(tmp_path)
    os.mkfifo(guest.path(FOLDER) / "dhclient.pipe.leases")
    assert dhcp.find_leased_endpoint(guest.system, guest.profile.dhcp) == KNOWN


def test_of_very_many_lease_files_the_newest_are_read(tmp_path: Path) -> None:
    files = {f"{FOLDER}/dhclient.{n:04}.leases": "" for n in range(dhcp.MOST_LEASES + 5)}
    guest = Machine(files={**files, f"{FOLDER}/dhclient.0.leases": GOOD}).boot(tmp_path)
    for name in guest.names(FOLDER):
        os.utime(guest.path(f"{FOLDER}/{name}"), (1000, 1000))
    assert guest.names(FOLDER)[0] == "dhclient.0.leases"
    assert dhcp.find_leased_endpoint(guest.system, guest.profile.dhcp) is None
    os.utime(guest.path(f"{FOLDER}/dhclient.0.leases"), (2000, 2000))
    assert dhcp.find_leased_endpoint(guest.system, guest.profile.dhcp) == KNOWN
