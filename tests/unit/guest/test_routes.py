"""The IPv4 route table."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.machine import ROUTE_HEADER, Machine, routes
from tests.support.runner import Answer, fails, missing, ok, times_out
from waagent.guest.routes import (
    MOST_ROUTES,
    Route,
    ensure_route,
    find_primary,
    has_default,
    has_wire_server_route,
    leads_to,
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


def test_route_is_added_on_the_link_that_it_was_told_for(tmp_path: Path) -> None:
    """A gateway of zeros means that the network is on the link (RFC 3442)."""
    guest = Machine(commands={("ip",): ok()}).boot(tmp_path)
    network = ipaddress.IPv4Network("10.1.0.0/16")
    assert ensure_route(guest.system, network, "10.0.0.1", "eth1")
    assert ensure_route(guest.system, network, "0.0.0.0", "eth1")
    assert guest.ran == [
        ("ip", "route", "add", "10.1.0.0/16", "via", "10.0.0.1", "dev", "eth1"),
        ("ip", "route", "add", "10.1.0.0/16", "dev", "eth1"),
    ]


@pytest.mark.parametrize("answer", [missing(), times_out()], ids=["missing", "hangs"])
def test_route_is_not_added_where_ip_is_missing_or_hangs(
    tmp_path: Path, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    guest = Machine(commands={("ip",): answer}).boot(tmp_path)
    assert not ensure_route(guest.system, ipaddress.IPv4Network("10.1.0.0/16"), "10.0.0.1")
    assert "Cannot add the route to 10.1.0.0/16 through 10.0.0.1" in caplog.text


REFUSAL = ("*", "00000000", "00000000", "0201", 100, "00000000")


def test_route_that_refuses_is_no_default_route_and_leads_nowhere() -> None:
    table = parse_routes(routes(REFUSAL))
    assert find_primary(table) is None
    assert not has_default(table)
    assert not leads_to(table, "168.63.129.16")


@pytest.mark.parametrize(
    ("row", "expected"), [(DEFAULT, True), (WIRE_SERVER, True), (SUBNET, False)]
)
def test_route_leads_to_what_its_network_holds(
    row: tuple[str, str, str, str, int, str], expected: bool
) -> None:
    assert leads_to(parse_routes(routes(row)), "168.63.129.16") is expected


def test_very_large_table_is_searched_to_its_end(tmp_path: Path) -> None:
    """The table of a router: its defaults are at the beginning, the wire server may be last."""
    many = [
        ("eth1", f"{number:06X}0B", "0100000A", "0003", 0, "FFFFFFFF")
        for number in range(MOST_ROUTES + 10)
    ]
    guest = Machine().boot(tmp_path)
    guest.write(TABLE, routes(DEFAULT, *many, WIRE_SERVER))
    assert len(read_routes(guest.system)) == MOST_ROUTES - 1
    assert find_primary(read_routes(guest.system)) == "eth0"
    assert has_wire_server_route(guest.system)
    assert not ensure_route(guest.system, ipaddress.IPv4Network("168.63.129.16/32"), "10.0.0.1")


@pytest.mark.parametrize("content", [b"\0" * 5000, b"x" * 5000, b"\xff\n" * 500])
def test_table_of_rubbish_has_no_routes(tmp_path: Path, content: bytes) -> None:
    guest = Machine().boot(tmp_path)
    guest.write(TABLE, content)
    assert read_routes(guest.system) == ()
    assert not has_wire_server_route(guest.system)


def test_table_that_is_a_folder_has_no_routes_and_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guest = Machine(folders=[TABLE]).boot(tmp_path)
    assert not has_wire_server_route(guest.system)
    assert "Cannot read /proc/net/route" in caplog.text


@given(st.text(max_size=300))
def test_no_text_breaks_the_parser(text: str) -> None:
    for route in parse_routes(text) + parse_routes(ROUTE_HEADER + text):
        assert route.network is not None
