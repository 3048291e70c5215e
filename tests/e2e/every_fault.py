"""Every row of commands for real, with real time limits: some minutes, `make faults` runs it."""

from __future__ import annotations

import pytest

from tests.e2e.faulty import WITHIN_S, check
from tests.faults.commands import command_faults
from tests.faults.rows import CommandFault, How

pytestmark = pytest.mark.root

ROWS = tuple(f for f in command_faults() if f.program.real and f.program.is_ours)


@pytest.mark.parametrize("fault", ROWS, ids=lambda fault: fault.name)
def test_real_first_boot_ends_as_the_table_says_when(fault: CommandFault) -> None:
    patience_s = WITHIN_S + 7 * fault.program.limit_s if fault.how is How.HANGS else 2 * WITHIN_S
    check(fault, patience_s)
