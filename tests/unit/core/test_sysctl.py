"""The kernel's word that one of its values changed. A real change is in tests/integration."""

from __future__ import annotations

from pathlib import Path

from waagent.core import sysctl


def test_plain_file_has_no_bell_and_neither_has_one_that_is_missing(tmp_path: Path) -> None:
    value = tmp_path / "hostname"
    value.write_text("a\n")
    assert sysctl.find_bell(value) is None
    assert sysctl.find_bell(tmp_path / "missing") is None


def test_bell_of_the_host_name_has_not_rung_while_the_name_stays() -> None:
    bell = sysctl.find_bell(Path("/proc/sys/kernel/hostname"))
    assert bell is not None, "this kernel does not tell of a new host name"
    assert not bell.answer()
