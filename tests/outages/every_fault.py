"""Each fault on each group of endpoints with the real child: it lives on, and comes back by itself.

Not for `make check`: `make outages` runs it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fabric.faults import NAMED
from tests.outages.matrix import GROUPS, live_through


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("fault", NAMED)
def test_child_lives_through_the_fault_and_comes_back_by_itself(
    tmp_path: Path, fault: str, group: str
) -> None:
    outcome = live_through(tmp_path, fault, group, seconds=20.0)
    print(f"\nROW | {group} | {fault} | {outcome.row()} |")
