"""Sockets: what systemd is told, and addresses as the kernel writes them."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waagent.core.sockets import (
    NOTIFY_S,
    ipv4_from_hex,
    kernel_hostname,
    notify_service_manager,
    process_id,
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """One with a name short enough for a socket's address."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def service_manager(address: str) -> socket.socket:
    """A socket as systemd has it."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    channel.bind(address)
    channel.settimeout(10.0)
    return channel


@pytest.mark.parametrize("state", ["READY=1", "STATUS=Warte auf \u00c4nderung\nWATCHDOG=1"])
def test_service_manager_hears_what_it_is_told(folder: Path, state: str) -> None:
    """One datagram, in UTF-8."""
    with service_manager(f"{folder}/notify") as manager:
        assert notify_service_manager({"NOTIFY_SOCKET": f"{folder}/notify"}, state)
        assert manager.recv(4096).decode() == state


def test_service_manager_may_have_an_abstract_address() -> None:
    """Then it begins with an @ in the variable."""
    name = f"waagent-test-{os.getpid()}"
    with service_manager(f"\0{name}") as manager:
        assert notify_service_manager({"NOTIFY_SOCKET": f"@{name}"}, "READY=1")
        assert manager.recv(4096) == b"READY=1"


@pytest.mark.parametrize("address", [None, "", "notify", "vsock:2:1234", "/nowhere/at/all"])
def test_nobody_is_told_where_there_is_no_service_manager(address: object) -> None:
    """As outside of systemd; no error."""
    environment = {} if address is None else {"NOTIFY_SOCKET": str(address)}
    assert not notify_service_manager(environment, "READY=1")


def test_address_that_is_too_long_is_no_error() -> None:
    """The kernel takes some hundred characters."""
    assert not notify_service_manager({"NOTIFY_SOCKET": "/" + "x" * 500}, "READY=1")


def test_service_manager_that_does_not_listen_does_not_hold_us_up(folder: Path) -> None:
    """Its queue is full; the watchdog's beat is lost, the daemon goes on."""
    environment = {"NOTIFY_SOCKET": f"{folder}/notify"}
    with (
        service_manager(f"{folder}/notify"),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as flood,
    ):
        flood.setblocking(False)
        with pytest.raises(BlockingIOError):
            for _ in range(100_000):
                flood.sendto(b"x", f"{folder}/notify")
        started = time.monotonic()
        assert not notify_service_manager(environment, "WATCHDOG=1")
        assert time.monotonic() - started < NOTIFY_S + 5.0


@given(st.integers(0, 2**32 - 1))
def test_address_of_the_route_table_is_read_back_to_front(number: int) -> None:
    """The kernel prints the bytes of memory as one number (little-endian here)."""
    packed = number.to_bytes(4, "big")
    assert ipv4_from_hex(packed[::-1].hex().upper()) == ".".join(str(part) for part in packed)


def test_address_of_the_wire_server_is_recognised() -> None:
    """As in the recorded route tables."""
    assert ipv4_from_hex("10813FA8") == "168.63.129.16"


def test_process_and_host_are_those_of_the_kernel() -> None:
    """Not of an environment variable."""
    assert process_id() == os.getpid()
    kernel = Path("/proc/sys/kernel/hostname").read_text(encoding="utf-8").strip()
    assert kernel_hostname() == kernel
