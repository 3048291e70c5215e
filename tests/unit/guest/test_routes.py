"""The IPv4 route table."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from tests.support.machine import ROUTE_HEADER, Machine, routes
from tests.support.runner import fails, ok
from waagent.guest.routes import (
    Route,
    ensure_route,
    find_primary,
    has_default,
    has_wire_server_route,
    parse_routes,
    read_routes,
)

DEFAULT = ("eth0", "00000000", "0100000A", "0003", 100, "00000000")
WIRE_SERVER = ("eth0", "10813FA8", "0100000A", "0007", 100, "FFFFFFFF")
SUBNET = ("eth0", "0000000A", "00000000", "0001", 0, "00FFFFFF")
TABLE = "/proc/net/route"


def test_route_table_is_read() -> None:
    assert parse_routes(routes(DEFAULT, SUBNET)) == (
        Route("eth0", "0.0.0.0", "10.0.0.1", "0.0.0.0", 3, 100),
        Route("eth0", "10.0.0.0", "0.0.0.0", "255.255.255.0", 1, 0),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        ROUTE_HEADER,
        "Iface\tDestination\neth0\t00000000\n",
        ROUTE_HEADER + "eth0\n",
        ROUTE_HEADER + "eth0\tXX\t0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
        ROUTE_HEADER + "eth0\t0000000000\t00000000\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
        ROUTE_HEADER + "eth0\t00000000\t00000000\t0003\t0\t0\t0\t0F0F0F0F\t0\t0\t0\n",
    ],
)
def test_route_rows_that_cannot_be_read_are_left_out(text: str) -> None:
    assert parse_routes(text) == ()


def test_routes_of_a_guest_without_a_table_are_none(tmp_path: Path) -> None:
    assert read_routes(Machine().boot(tmp_path).system) == ()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([DEFAULT, WIRE_SERVER], True),
        ([DEFAULT, SUBNET], False),
        ([("eth0", "00000000", "10813FA8", "0003", 0, "00000000")], True),
        ([], False),
    ],
)
def test_wire_server_route_is_known_by_its_address(
    tmp_path: Path, rows: list[tuple[str, str, str, str, int, str]], expected: bool
) -> None:
    guest = Machine(files={TABLE: routes(*rows)}).boot(tmp_path)
    assert has_wire_server_route(guest.system) is expected


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("a", "00000000", "0100000A", "0003", 5, "00000000"), DEFAULT], "a"),
        ([DEFAULT, ("b", "00000000", "0100000A", "0003", 1, "00000000")], "b"),
        ([DEFAULT, ("b", "00000000", "0100000A", "0003", 100, "00000000")], "eth0"),
        ([("c", "00000000", "00000000", "0001", 0, "00000000")], None),
        ([SUBNET], None),
    ],
)
def test_primary_is_the_best_default_route_through_a_gateway(
    rows: list[tuple[str, str, str, str, int, str]], expected: object
) -> None:
    assert find_primary(parse_routes(routes(*rows))) == expected


def test_default_route_is_missing_where_only_networks_are_known() -> None:
    assert has_default(parse_routes(routes(DEFAULT)))
    assert not has_default(parse_routes(routes(SUBNET)))


@pytest.mark.parametrize(
    ("network", "target"), [("0.0.0.0/0", "default"), ("168.63.129.16/32", "168.63.129.16/32")]
)
def test_route_is_added_in_the_words_that_ip_understands(
    tmp_path: Path, network: str, target: str
) -> None:
    guest = Machine(files={TABLE: routes(SUBNET)}, commands={("ip",): ok()}).boot(tmp_path)
    assert ensure_route(guest.system, ipaddress.IPv4Network(network), "10.0.0.1")
    assert guest.ran == [("ip", "route", "add", target, "via", "10.0.0.1")]


def test_route_that_exists_is_not_added(tmp_path: Path) -> None:
    guest = Machine(files={TABLE: routes(DEFAULT, WIRE_SERVER)}).boot(tmp_path)
    for network in ("0.0.0.0/0", "168.63.129.16/32"):
        assert not ensure_route(guest.system, ipaddress.IPv4Network(network), "10.0.0.1")
    assert guest.ran == []


def test_route_that_cannot_be_added_is_no_error(tmp_path: Path) -> None:
    guest = Machine(commands={("ip",): fails(2, "RTNETLINK answers: File exists")}).boot(tmp_path)
    assert not ensure_route(guest.system, ipaddress.IPv4Network("10.1.0.0/16"), "10.0.0.1")
