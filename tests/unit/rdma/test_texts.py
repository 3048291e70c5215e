"""Texts and bytes of RDMA: read, edited, refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.rdma.machine import pool, record
from waagent.core.errors import DocumentError
from waagent.rdma.texts import (
    MAX_PAIRS,
    DeviceAddress,
    edit_alias,
    edit_dat_conf,
    mac_of_hardware,
    parse_ipoib_data,
    parse_kvp_pool,
    parse_module_version,
)

PROVIDER = "ofa-v2-ib0 u2.0 nonthreadsafe default libdaplofa.so.2 dapl.2.0"
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)


@given(st.dictionaries(NAMES, NAMES, max_size=8), st.integers(0, 2559))
def test_pool_gives_back_what_was_written_to_it_and_leaves_out_what_was_cut(
    told: dict[str, str], tail: int
) -> None:
    data = b"".join(record(key, value) for key, value in told.items())
    assert parse_kvp_pool(data + record("Cut", "short")[:tail]) == told


def test_pool_ends_a_text_at_its_first_nul_and_skips_records_without_a_name() -> None:
    stale = b"NdDriverVersion\0Rubbish".ljust(512, b"\0") + b"142.0\0stale".ljust(2048, b"x")
    assert parse_kvp_pool(record("", "x") + stale) == {"NdDriverVersion": "142.0"}
    assert parse_kvp_pool(pool()) == {}


@pytest.mark.parametrize(
    "text",
    [
        "NUMPAIRS:2|00155D33FF1D:172.16.1.7|00155D33FF1E:172.16.1.8",
        "NUMPAIRS:2|00:15:5d:33:ff:1d:172.16.1.7|00-15-5D-33-FF-1E:172.16.1.8|",
    ],
)
def test_pairs_are_read_with_and_without_colons(text: str) -> None:
    assert parse_ipoib_data(text) == (
        DeviceAddress("00155d33ff1d", "172.16.1.7"),
        DeviceAddress("00155d33ff1e", "172.16.1.8"),
    )


def test_no_pairs_are_no_error() -> None:
    assert parse_ipoib_data("NUMPAIRS:0|") == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "number of pairs"),
        ("NUMPAIRS:x|00155D33FF1D:172.16.1.7", "number of pairs"),
        ("NUMPAIRS:2|00155D33FF1D:172.16.1.7", "1 pairs, but 2"),
        ("NUMPAIRS:1|00155D33FF1D:172.16.1.7|00155D33FF1E:172.16.1.8", "2 pairs, but 1"),
        ("NUMPAIRS:1|00155D33FF1D:172.16.1", "no IPv4 address"),
        ("NUMPAIRS:1|00155D33FF1D", "no IPv4 address"),
        ("NUMPAIRS:1|00155D33FF:172.16.1.7", "no MAC"),
        ("NUMPAIRS:1|eth0;reboot:172.16.1.7", "no MAC"),
        (f"NUMPAIRS:{MAX_PAIRS + 1}" + "|00155D33FF1D:10.0.0.1" * (MAX_PAIRS + 1), "allowed"),
    ],
)
def test_pairs_that_are_none_are_refused(text: str, why: str) -> None:
    with pytest.raises(DocumentError, match=why):
        parse_ipoib_data(text)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("filename: /x.ko\nversion:        4.1.0\nlicense: GPL\n", (4, 1)),
        ("srcversion:     4.1.0\n", None),
        ("version:        4.1\n", None),
        ("", None),
    ],
)
def test_version_of_a_module_is_that_of_its_version_line(
    text: str, version: tuple[int, int]
) -> None:
    assert parse_module_version(text) == version


def test_infiniband_address_is_compared_by_the_six_bytes_of_a_mac_in_it() -> None:
    hardware = "00:00:01:00:fe:80:00:00:00:00:00:00:00:15:5D:ff:fe:33:ff:1d\n"
    assert mac_of_hardware(hardware, is_infiniband=True) == "00155d33ff1d"
    assert mac_of_hardware("00:15:5D:33:ff:1d\n", is_infiniband=False) == "00155d33ff1d"
    assert mac_of_hardware("", is_infiniband=True) == ""


def test_address_goes_into_the_one_provider_of_dat_conf() -> None:
    other = 'ofa-v2-mlx4_0-1 u2.0 nonthreadsafe default libdaplofa.so.2 dapl.2.0 "ib0 0" ""'
    text = f'# {PROVIDER} "ib0 0" ""\n{other}\n{PROVIDER} "ib0 0" ""\n'
    assert edit_dat_conf(text, "172.16.1.7") == (
        f'# {PROVIDER} "ib0 0" ""\n{other}\n{PROVIDER} "172.16.1.7 0" ""\n'
    )
    assert edit_dat_conf(f"{other}\n", "172.16.1.7") == f"{other}\n"


def test_alias_is_there_once_whatever_it_was() -> None:
    text = "options x y\nalias hv_network_direct  hv_network_direct_1_0\n"
    edited = edit_alias(text, "hv_network_direct", "hv_network_direct_142_0")
    assert edited == "options x y\nalias hv_network_direct hv_network_direct_142_0\n"
    assert edit_alias(edited, "hv_network_direct", "hv_network_direct_142_0") == edited
