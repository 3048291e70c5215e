"""Datagrams as a raw socket has them: built with a checksum, and known from others."""

from __future__ import annotations

import struct

import pytest

from waagent.core import raw_udp

IP = bytes((0x45,)) + bytes(19)


def test_datagram_has_the_ports_the_length_and_a_checksum_that_sums_to_ones() -> None:
    data = raw_udp.render_datagram(b"odd", "10.0.0.4", "168.63.129.16")
    assert struct.unpack("!HHH", data[:6]) == (68, 67, 11)
    pseudo = bytes((10, 0, 0, 4, 168, 63, 129, 16, 0, 17, 0, 11))
    total = sum(struct.unpack("!12H", pseudo + data + b"\0"))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF


def test_answer_of_a_server_is_read_behind_its_headers() -> None:
    header = struct.pack("!HHHH", 67, 68, 11, 0)
    assert raw_udp.parse_datagram(IP + header + b"abc") == b"abc"
    with_options = bytes((0x46,)) + bytes(23)
    assert raw_udp.parse_datagram(with_options + header + b"abc") == b"abc"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        IP,
        IP + b"\0\x43\0\x44",
        IP + struct.pack("!HHHH", 53, 68, 8, 0),
        IP + struct.pack("!HHHH", 67, 67, 8, 0),
        bytes((0x41,)) + bytes(40),
    ],
)
def test_what_is_no_answer_of_a_dhcp_server_is_passed_over(data: bytes) -> None:
    assert raw_udp.parse_datagram(data) is None
