"""DHCP as bytes: what the fabric takes, refuses and answers."""

from __future__ import annotations

import struct

import pytest

from tests.fabric.dhcp import choose_reply, parse_arguments
from tests.fabric.dhcp_packets import (
    ACK,
    DISCOVER,
    NAK,
    OFFER,
    RELEASE,
    REQUEST,
    BadMessage,
    HostRoute,
    Lease,
    parse_message,
    render_reply,
    render_routes,
)

MAC = bytes.fromhex("000d3a3382e8")


def message(*options: bytes, ciaddr: bytes = bytes(4), hops: int = 0, flags: int = 0) -> bytes:
    """A client's message with some options and the end behind them."""
    fixed = struct.pack("!BBBB4sHH4s", 1, 1, 6, hops, b"\x12\x34\x56\x78", 0, flags, ciaddr)
    body = fixed + bytes(12) + MAC + bytes(10 + 64 + 128) + b"\x63\x82\x53\x63"
    return body + b"".join(options) + b"\xff"


def kind(number: int) -> bytes:
    """Option 53."""
    return bytes((53, 1, number))


def options_of(reply: bytes) -> dict[int, bytes]:
    """The options of an answer, read anew."""
    found, at = {}, 240
    while reply[at] != 255:
        found[reply[at]] = reply[at + 2 : at + 2 + reply[at + 1]]
        at += 2 + reply[at + 1]
    return found


def test_offer_tells_address_router_routes_and_the_wire_server() -> None:
    discover = parse_message(message(kind(DISCOVER)))
    reply = render_reply(Lease(), discover, OFFER)
    found = options_of(reply)
    assert discover.complaints == ()
    assert reply[4:8] == b"\x12\x34\x56\x78"
    assert reply[16:20] == bytes((10, 0, 0, 4))
    assert reply[28:34] == MAC
    assert found[53] == bytes((OFFER,))
    assert found[245] == bytes((168, 63, 129, 16))
    assert found[3] == bytes((10, 0, 0, 1))
    assert found[1] == bytes((255, 255, 255, 0))
    assert found[249] == bytes.fromhex("20a83f81100a000001" + "20a9fea9fe0a000001")
    assert found[121] == bytes.fromhex("000a000001") + found[249]


def test_offer_leaves_out_what_was_not_asked_for_but_never_option_245() -> None:
    discover = parse_message(message(kind(DISCOVER), bytes((55, 2, 1, 3))))
    assert set(options_of(render_reply(Lease(), discover, OFFER))) == {
        1, 3, 51, 53, 54, 58, 59, 245,
    }  # fmt: skip


def test_fabric_without_option_245_sends_none() -> None:
    discover = parse_message(message(kind(DISCOVER)))
    assert 245 not in options_of(render_reply(Lease(wire_server=None), discover, OFFER))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "0 bytes"),
        (message(kind(DISCOVER))[:239], "239 bytes"),
        (message(kind(DISCOVER))[:-1], "end option"),
        (message(), "option 53"),
        (message(kind(OFFER)), "none that a client sends"),
        (message(kind(DISCOVER), bytes((50, 3, 1, 2, 3))), "option 50 has 3 bytes"),
        (message(kind(DISCOVER), bytes((12, 200))), "runs past the end"),
        (message(kind(DISCOVER)).replace(b"\x63\x82\x53\x63", bytes(4)), "cookie"),
        (b"\x02" + message(kind(DISCOVER))[1:], "op, hardware type"),
    ],
)
def test_message_that_cannot_be_answered_says_why(data: bytes, why: str) -> None:
    with pytest.raises(BadMessage, match=why):
        parse_message(data)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (message(kind(DISCOVER), ciaddr=b"\x0a\0\0\x04"), "has a ciaddr"),
        (message(kind(DISCOVER), bytes((54, 4, 10, 0, 0, 1))), "has a server identifier"),
        (message(kind(REQUEST)), "asks for no address"),
        (message(kind(RELEASE), ciaddr=b"\x0a\0\0\x04"), "names no server"),
        (message(kind(DISCOVER), hops=1), "hops is 1"),
        (message(kind(DISCOVER), flags=1), "reserved flag"),
        (message(kind(DISCOVER)) + b"x", "follows the end"),
    ],
)
def test_message_that_breaks_the_rfc_is_a_complaint(data: bytes, complaint: str) -> None:
    assert any(complaint in c for c in parse_message(data).complaints)


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (message(kind(DISCOVER)), OFFER),
        (message(kind(REQUEST), bytes((50, 4, 10, 0, 0, 4))), ACK),
        (message(kind(REQUEST), bytes((50, 4, 10, 0, 0, 9))), NAK),
        (message(kind(REQUEST), ciaddr=b"\x0a\0\0\x04"), ACK),
        (
            message(kind(REQUEST), bytes((50, 4, 10, 0, 0, 4)), bytes((54, 4, 9, 9, 9, 9))),
            None,
        ),
        (message(kind(RELEASE), bytes((54, 4, 9, 9, 9, 9)), ciaddr=b"\x0a\0\0\x04"), None),
    ],
)
def test_answer_follows_from_what_the_client_wants(data: bytes, answer: object) -> None:
    assert choose_reply(Lease(), parse_message(data)) == answer


def test_routes_hold_only_the_significant_bytes_of_a_network() -> None:
    routes = (HostRoute("0.0.0.0/0", "10.0.0.1"), HostRoute("10.1.8.0/21", "10.0.0.1"))
    assert render_routes(routes) == bytes.fromhex("000a000001" + "150a01080a000001")


def test_command_line_makes_the_lease() -> None:
    interface, lease = parse_arguments(["eth1", "--address", "10.9.8.7/20", "--router", "10.9.0.1"])
    assert interface == "eth1"
    assert (lease.address, lease.prefix, lease.router) == ("10.9.8.7", 20, "10.9.0.1")
    assert lease.routes[0] == HostRoute("168.63.129.16/32", "10.9.0.1")
