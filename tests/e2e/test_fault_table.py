"""The most telling faults of a first boot for real: full and read-only disks, a missing command.

Each of the others is in `every_fault.py`; docs/faults.md is the whole table.
"""

from __future__ import annotations

from typing import Union

import pytest

from tests.e2e.faulty import check
from tests.faults.chosen import NAMES, chosen
from tests.faults.rows import CommandFault, DiskFault

pytestmark = pytest.mark.root


@pytest.mark.parametrize("fault", chosen(), ids=lambda fault: fault.name)
def test_fault_is_reported_and_made_good_when(fault: Union[CommandFault, DiskFault]) -> None:
    check(fault)


def test_each_chosen_row_is_one_of_the_table() -> None:
    assert sorted(fault.name for fault in chosen()) == sorted(NAMES)
