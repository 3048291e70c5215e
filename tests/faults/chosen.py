"""Which rows run for real with every `make check`; the others only with `make faults`."""

from __future__ import annotations

from typing import Union

from tests.faults.commands import command_faults
from tests.faults.disks import DISKS
from tests.faults.rows import CommandFault, DiskFault

NAMES = (
    "the lib dir is full from the start",
    "the lib dir is read-only",
    "/etc is full from the start",
    "/etc is read-only",
    "/var/log is full",
    "useradd is not there",
)


def chosen() -> tuple[Union[CommandFault, DiskFault], ...]:
    """The rows of `make check`."""
    return tuple(row for row in _real() if row.name in NAMES)


def others() -> tuple[Union[CommandFault, DiskFault], ...]:
    """All others that can be had for real."""
    return tuple(row for row in _real() if row.name not in NAMES)


def _real() -> tuple[Union[CommandFault, DiskFault], ...]:
    commands = (row for row in command_faults() if row.program.real and row.program.is_ours)
    return (*DISKS, *commands)
