"""DHCP packets: the DISCOVER byte by byte, and what an OFFER says."""

from __future__ import annotations

import pytest

from tests.support.samples import sample
from waagent.core.errors import DocumentError
from waagent.protocol.dhcp_packet import Route, parse_offer, render_discover

MAC = bytes.fromhex("00155d38aa38")
TRANSACTION = bytes.fromhex("c6aad15d")


def offer(*options: bytes, end: bytes = b"\xff") -> bytes:
    """An answer to our request with these options."""
    return render_discover(MAC, TRANSACTION)[:0xF0] + b"".join(options) + end


def option(code: int, value: str) -> bytes:
    """One option of hexadecimal digits."""
    data = bytes.fromhex(value)
    return bytes((code, len(data))) + data


def test_discover_is_the_244_bytes_of_the_spec() -> None:
    """DAEMON 6.4."""
    packet = render_discover(MAC, TRANSACTION)
    assert len(packet) == 244
    assert packet[:4] == bytes((1, 1, 6, 0))
    assert packet[4:8] == TRANSACTION
    assert packet[8:0x1C] == bytes(20)
    assert packet[0x1C:0x22] == MAC
    assert packet[0x22:0xEC] == bytes(0xEC - 0x22)
    assert packet[0xEC:] == bytes.fromhex("63825363 350101 ff")


def test_discover_of_a_later_try_asks_for_a_broadcast_answer() -> None:
    """One bit of the flags."""
    first = render_discover(MAC, TRANSACTION)
    later = render_discover(MAC, TRANSACTION, broadcast=True)
    assert later[0x0A:0x0C] == b"\x80\x00"
    assert first == later[:0x0A] + b"\0\0" + later[0x0C:]


@pytest.mark.parametrize(("mac", "transaction"), [(MAC[:5], TRANSACTION), (MAC, b"")])
def test_discover_of_other_sizes_is_refused(mac: bytes, transaction: bytes) -> None:
    """They are the caller's mistake."""
    with pytest.raises(ValueError, match="DHCP"):
        render_discover(mac, transaction)


def test_offer_of_the_fabric_names_endpoint_and_gateway() -> None:
    """The captured one."""
    found = parse_offer(sample("dhcp/response.bin"))
    assert (found.endpoint, found.gateway) == ("10.62.144.140", "10.62.144.1")
    assert found.routes == ()
    assert found.notes == ()
    assert found.answers(render_discover(MAC, TRANSACTION))


def test_offer_for_another_machine_does_not_answer_ours() -> None:
    """A broadcast answer reaches everyone."""
    found = parse_offer(offer())
    assert not found.answers(render_discover(MAC, b"\0\0\0\0"))
    assert not found.answers(render_discover(b"\0" * 6, TRANSACTION))
    assert not found.answers(b"")


@pytest.mark.parametrize("code", [249, 121])
@pytest.mark.parametrize(
    ("value", "network", "gateway"),
    [
        ("20 A83F8110 0A000001", "168.63.129.16/32", "10.0.0.1"),
        ("00 0A000001", "0.0.0.0/0", "10.0.0.1"),
        ("15 0A0108 0A000001", "10.1.8.0/21", "10.0.0.1"),
        ("15 0A010F 0A000001", "10.1.8.0/21", "10.0.0.1"),
        ("08 0A 0A000001", "10.0.0.0/8", "10.0.0.1"),
    ],
)
def test_offer_routes_are_read_from_either_option(
    code: int, value: str, network: str, gateway: str
) -> None:
    """DAEMON, appendix D; the network is masked."""
    assert parse_offer(offer(option(code, value))).routes == (Route(network, gateway),)


def test_offer_routes_may_be_many_and_split_over_options() -> None:
    """The second option continues the first, even within a route."""
    first, second = option(249, "20 A83F8110 0A"), option(249, "000001 00 0A000001")
    assert parse_offer(offer(first, option(53, "02"), second)).routes == (
        Route("168.63.129.16/32", "10.0.0.1"),
        Route("0.0.0.0/0", "10.0.0.1"),
    )


@pytest.mark.parametrize("value", ["21 A83F8110 00 0A000001", "20 A83F8110", "20", "08 0A 0A0000"])
def test_offer_routes_that_are_broken_leave_the_rest_readable(value: str) -> None:
    """With the reference's words in a note."""
    found = parse_offer(offer(option(249, value), option(245, "A83F8110")))
    assert found.routes == ()
    assert found.endpoint == "168.63.129.16"
    assert found.notes == ("Unable to parse routes",)


def test_offer_addresses_of_another_length_are_left_out() -> None:
    """Each with a note."""
    found = parse_offer(offer(option(245, "A83F81"), option(3, "0A0000010A000002")))
    assert (found.endpoint, found.gateway) == (None, None)
    assert found.notes == ("Endpoint not 4 bytes", "Default Gateway not 4 bytes")


def test_offer_that_is_cut_short_keeps_what_came_before() -> None:
    """An option longer than the packet ends it."""
    found = parse_offer(offer(option(245, "A83F8110"), bytes((3, 200, 1)), end=b""))
    assert found.endpoint == "168.63.129.16"
    assert found.notes == ("Data too small for option:3",)


def test_offer_padding_is_skipped_and_nothing_counts_after_the_end() -> None:
    """Pads have no length."""
    found = parse_offer(offer(b"\0\0", option(245, "A83F8110"), b"\xff", option(3, "0A000001")))
    assert (found.endpoint, found.gateway) == ("168.63.129.16", None)


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 0xF0, b"\0" * 0x100, offer()[:0xF0], offer() + b"\0" * 70_000]
)
def test_offer_that_is_no_dhcp_is_refused(data: bytes) -> None:
    """It counts as a failed attempt."""
    with pytest.raises(DocumentError, match="cannot read the DHCP response"):
        parse_offer(data)


def test_offer_of_option_121_makes_3_and_249_count_no_more() -> None:
    """RFC 3442."""
    found = parse_offer(
        offer(
            option(3, "0A000063"), option(249, "00 0A000063"), option(121, "20 A83F8110 0A000001")
        )
    )
    assert found.gateway is None
    assert found.routes == (Route("168.63.129.16/32", "10.0.0.1"),)


def test_offer_of_a_broken_option_121_falls_back_to_3_and_249() -> None:
    found = parse_offer(
        offer(option(3, "0A000063"), option(249, "00 0A000063"), option(121, "21 A83F"))
    )
    assert found.gateway == "10.0.0.99"
    assert found.routes == (Route("0.0.0.0/0", "10.0.0.99"),)
    assert found.notes == ("Unable to parse routes",)


@pytest.mark.parametrize("address", ["00000000", "E0000001", "FFFFFFFF", "7F000001"])
def test_offer_of_an_address_that_no_server_has_names_no_endpoint(address: str) -> None:
    found = parse_offer(offer(option(245, address)))
    assert found.endpoint is None
    assert found.notes[0].endswith("is no address of a server")
