"""Every other row of docs/faults.md for real, with real time limits: `make faults` runs it."""

from __future__ import annotations

from typing import Union

import pytest

from tests.e2e.faulty import WITHIN_S, check
from tests.faults.chosen import others
from tests.faults.rows import CommandFault, DiskFault, How

pytestmark = pytest.mark.root


@pytest.mark.parametrize("fault", others(), ids=lambda fault: fault.name)
def test_real_first_boot_ends_as_the_table_says_when(fault: Union[CommandFault, DiskFault]) -> None:
    check(fault, _patience_s(fault))


def _patience_s(fault: Union[CommandFault, DiskFault]) -> float:
    if isinstance(fault, CommandFault) and fault.how is How.HANGS:
        return WITHIN_S + 7 * fault.program.limit_s
    return 2 * WITHIN_S
