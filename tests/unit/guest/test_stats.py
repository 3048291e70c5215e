"""Figures of the machine."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from tests.support.machine import Machine
from waagent.guest import stats


def test_os_version_names_distribution_and_kernel(tmp_path: Path) -> None:
    kernel = {"/proc/sys/kernel/osrelease": "6.1.0-50-cloud-amd64\n"}
    guest = Machine("debian-12", files=kernel).boot(tmp_path)
    text = stats.os_version_text(guest.system, guest.release)
    assert text == "Linux:debian-12-bookworm:6.1.0-50-cloud-amd64"


def test_memory_is_counted_in_mib(tmp_path: Path) -> None:
    text = "MemTotal:         987652 kB\nMemFree:           12 kB\n"
    assert stats.ram_mb(Machine(files={"/proc/meminfo": text}).boot(tmp_path).system) == 964


@pytest.mark.parametrize(
    ("online", "expected"), [("0-1\n", 2), ("0\n", 1), ("0-3,6,8-9\n", 7), ("", 1), ("x", 1)]
)
def test_processors_that_are_online_are_counted(tmp_path: Path, online: str, expected: int) -> None:
    guest = Machine(files={"/sys/devices/system/cpu/online": online}).boot(tmp_path)
    assert stats.processors(guest.system) == expected


def test_processors_are_counted_in_cpuinfo_where_sysfs_is_hidden(tmp_path: Path) -> None:
    text = "processor\t: 0\nmodel name\t: x\n\nprocessor\t: 1\nmodel name\t: processor\n"
    guest = Machine(files={"/proc/cpuinfo": text}).boot(tmp_path)
    assert stats.processors(guest.system) == 2


@pytest.mark.parametrize(("text", "expected"), [("12.5 20.1\n", 12.5), ("", 0.0), ("x y", 0.0)])
def test_uptime_is_the_kernels(tmp_path: Path, text: str, expected: float) -> None:
    guest = Machine(files={"/proc/uptime": text}).boot(tmp_path)
    assert stats.uptime_s(guest.system) == expected


def test_figures_are_zero_or_empty_where_the_kernel_is_silent(tmp_path: Path) -> None:
    guest = Machine("").boot(tmp_path)
    assert stats.ram_mb(guest.system) == 0
    assert stats.uptime_s(guest.system) == 0.0
    assert stats.os_version_text(guest.system, guest.release) == "Linux:linux--:"


def test_architecture_is_the_kernels_word() -> None:
    assert stats.architecture() == platform.machine()
