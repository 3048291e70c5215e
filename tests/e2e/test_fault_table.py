"""Faults of a first boot for real: full and read-only disks, and a sample of failing commands.

`pytest -v` of this file is the table; docs/faults.md is the same for people.
"""

from __future__ import annotations

import pytest

from tests.e2e.faulty import check
from tests.faults.commands import command_faults
from tests.faults.disks import DISKS
from tests.faults.rows import CommandFault, DiskFault

pytestmark = pytest.mark.root

SAMPLE = ("useradd is not there", "visudo ends with 1", "umount ends with 1", "ip is not there")
COMMANDS = tuple(fault for fault in command_faults() if fault.name in SAMPLE)


@pytest.mark.parametrize("fault", DISKS, ids=lambda fault: fault.name)
def test_disk_that_takes_nothing_is_reported_and_made_good_when(fault: DiskFault) -> None:
    check(fault)


@pytest.mark.parametrize("fault", COMMANDS, ids=lambda fault: fault.name)
def test_command_that_fails_is_reported_and_made_good_when(fault: CommandFault) -> None:
    check(fault)
