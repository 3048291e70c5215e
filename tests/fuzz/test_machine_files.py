"""What a guest's own files may hold: leases and route tables, changed from those that are real."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timezone

from hypothesis import given

from tests.fuzz.mutations import mutants
from tests.fuzz.test_parsers import PROFILE
from tests.support.machine import DATA, routes
from waagent.core.dhcp_socket import unwrap
from waagent.guest.leases import parse_assignments, parse_dhclient, parse_packet
from waagent.guest.routes import find_primary, has_default, leads_to, parse_routes

NOW = datetime(2026, 11, 24, 14, 0, tzinfo=timezone.utc)
LEASES = tuple(path.read_bytes() for path in sorted((DATA / "leases").glob("d*.lease*")))
NETWORKD = ((DATA / "leases" / "networkd.2").read_bytes(),)
PACKETS = ((DATA / "leases" / "dhcpcd.eth0.lease").read_bytes(),)
TABLE = routes(
    ("eth0", "00000000", "0100000A", "0003", 100, "00000000"),
    ("eth0", "10813FA8", "0100000A", "0007", 100, "FFFFFFFF"),
).encode()


def is_answer(found: object) -> bool:
    """Nothing, or an address that a server can have."""
    if found is None:
        return True
    address = ipaddress.IPv4Address(str(found))
    return not (address.is_multicast or address.is_unspecified or address.is_loopback)


@PROFILE
@given(mutants(LEASES))
def test_dhclient_leases_survive_every_change(data: bytes) -> None:
    assert is_answer(parse_dhclient(data.decode("utf-8", "replace"), NOW))


@PROFILE
@given(mutants(NETWORKD))
def test_assignments_survive_every_change(data: bytes) -> None:
    assert is_answer(parse_assignments(data.decode("utf-8", "replace")))


@PROFILE
@given(mutants(PACKETS))
def test_packets_survive_every_change(data: bytes) -> None:
    assert is_answer(parse_packet(data, 10.0))
    header = bytes.fromhex("45100000000000004011000000000000ffffffff 00430044")
    assert len(unwrap(header + len(data).to_bytes(2, "big") + data)) <= len(data)


@PROFILE
@given(mutants((TABLE,)))
def test_route_tables_survive_every_change(data: bytes) -> None:
    table = parse_routes(data.decode("ascii", "replace"))
    assert find_primary(table) in (None, *(route.interface for route in table))
    assert leads_to(table, "168.63.129.16") or not has_default(table)
