"""The headers around a DHCP message; the sockets themselves are tried in a network namespace."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waagent.core.dhcp_socket import unwrap, wrap

MESSAGE = b"a message of an odd length, "


def reply(
    message: bytes = MESSAGE, *, ports: tuple[int, int] = (67, 68), more: bytes = b""
) -> bytes:
    """As a server sends it."""
    packet = bytearray(wrap(message))
    packet[20:24] = struct.pack("!HH", *ports)
    return bytes(packet) + more


def ones_sum(data: bytes) -> int:
    """What a receiver computes over data and checksum; 0xFFFF is right."""
    data += bytes(len(data) % 2)
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2], "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total


@given(st.binary(min_size=1, max_size=600))
def test_checksums_are_those_that_a_receiver_computes(message: bytes) -> None:
    packet = wrap(message)
    assert ones_sum(packet[:20]) == 0xFFFF
    pseudo = packet[12:20] + bytes((0, 17)) + packet[24:26]
    assert ones_sum(pseudo + packet[20:]) == 0xFFFF
    assert packet[12:20] == bytes(4) + b"\xff" * 4
    assert struct.unpack("!HHH", packet[20:26]) == (68, 67, 8 + len(message))


def test_message_of_a_server_is_taken_out_of_its_packet() -> None:
    assert unwrap(reply()) == MESSAGE
    assert unwrap(reply(more=b"padding of the link")) == MESSAGE


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        reply()[:27],
        reply()[:-1],
        reply(ports=(68, 67)),
        reply(ports=(53, 68)),
        b"\x60" + reply()[1:],
        b"\x44" + reply()[1:],
        b"\x4f" + reply(b"short")[1:],
        reply()[:9] + b"\x06" + reply()[10:],
        reply()[:24] + b"\0\7" + reply()[26:],
    ],
)
def test_packet_that_is_no_whole_dhcp_is_empty(packet: bytes) -> None:
    assert unwrap(packet) == b""


@given(st.binary(max_size=100))
def test_no_packet_breaks_the_reader(data: bytes) -> None:
    assert len(unwrap(data)) <= len(data)
    assert len(unwrap(b"\x45" + bytes(8) + b"\x11" + data)) <= len(data)
