"""Leases of DHCP clients, and the wire server in them."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.samples import sample
from waagent.guest.leases import parse_assignments, parse_dhclient, parse_packet

NOW = datetime(2026, 1, 31, tzinfo=timezone.utc)


def lease(endpoint: str = "a8:3f:81:10", expire: str = "0 2152/07/23 23:27:10") -> str:
    return (
        "lease {\n"
        '  interface "eth0";\n'
        "  option domain-name-servers 10.9.9.9;\n"
        f"  option unknown-245 {endpoint};\n"
        f"  expire {expire};\n"
        "}\n"
    )


def test_dhclient_sample_names_the_last_lease_that_has_not_expired() -> None:
    text = sample("dhcp/dhcp.leases.multi").decode()
    assert parse_dhclient(text, NOW) == "168.63.129.2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (lease(expire="never") + lease("a8:3f:81:11", "4 2015/01/01 00:00:00"), "168.63.129.16"),
        (lease() + lease("a:1:2:3"), "10.1.2.3"),
        (lease() + lease("0a:00:00:01"), "10.0.0.1"),
        (lease(expire="epoch 1900000000"), "168.63.129.16"),
        (lease(expire="epoch 1000000000"), None),
        (lease(expire="4  2030/01/02   03:04:05"), "168.63.129.16"),
        (lease(expire="4 2030/13/02 03:04:05"), None),
        (lease(expire="soon"), None),
        (lease().replace("  expire", "  renew"), None),
        (lease().replace("unknown-245", "unknown-244"), None),
        (lease("00:00:00:00"), None),
        (lease("ff:ff:ff:ff"), None),
        (lease("a8:3f:81"), None),
        (lease().replace("}\n", ""), None),
        ("", None),
    ],
)
def test_dhclient_leases_count_while_they_are_valid(text: str, expected: object) -> None:
    assert parse_dhclient(text, NOW) == expected


def test_dhclient_lease_never_takes_a_name_server_for_the_wire_server() -> None:
    text = lease().replace("  option unknown-245 a8:3f:81:10;\n", "")
    assert parse_dhclient(text, NOW) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ADDRESS=10.0.0.4\nOPTION_245=a83f8110\n", "168.63.129.16"),
        ("OPTION_245=a83f8110\nOPTION_245=0a000001\n", "10.0.0.1"),
        ("UNKNOWN_245='a8:3f:81:10'\n", "168.63.129.16"),
        ("OPTION_245=a83f811000\n", "168.63.129.16"),
        ("OPTION_1245=a83f8110\n", None),
        ("#OPTION_245=a83f8110\n", None),
        ("OPTION_245=\n", None),
        ("OPTION_245=a83f\n", None),
    ],
)
def test_leases_of_assignments_are_read(text: str, expected: object) -> None:
    assert parse_assignments(text) == expected


def packet(options: bytes) -> bytes:
    return b"\2\1\6\0" + bytes(232) + b"\x63\x82\x53\x63" + options


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (packet(b"\x35\1\5\0\0\xf5\4\xa8\x3f\x81\x10\xff"), "168.63.129.16"),
        (packet(b"\xff\xf5\4\xa8\x3f\x81\x10"), None),
        (packet(b"\xf5\5\xa8\x3f\x81\x10\x11"), None),
        (packet(b"\xf5\4\xa8"), None),
        (packet(b"\xf5"), None),
        (packet(b"\x35\xff"), None),
        (b"", None),
        (bytes(300), None),
    ],
)
def test_leases_that_are_packets_are_read(data: bytes, expected: object) -> None:
    assert parse_packet(data) == expected


def test_packet_of_a_real_server_names_the_wire_server() -> None:
    assert parse_packet(sample("dhcp/response.bin")) == "10.62.144.140"


@given(st.binary())
def test_no_packet_breaks_the_parser(data: bytes) -> None:
    parse_packet(packet(data))


@given(
    st.text(alphabet="lease{}\n option unknown-245 expire never 0123456789:/abcdef;", max_size=200)
)
def test_no_text_breaks_the_parsers(text: str) -> None:
    parse_dhclient(text, NOW)
    parse_assignments(text)
