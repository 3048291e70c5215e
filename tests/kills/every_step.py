"""SIGKILL before every single step of every scenario; `python -m tests.kills run` runs this."""

from __future__ import annotations

import pytest

from tests.kills.machine import Stock, machine
from tests.kills.scenarios import SCENARIOS, Scenario
from tests.kills.verdict import ended, faults

PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_child_killed_before_any_step_converges(
    scenario: Scenario, part: int, stock: Stock
) -> None:
    undisturbed = stock.undisturbed(scenario)
    found = []
    for number in range(part, len(undisturbed.steps), PARTS):
        step = undisturbed.steps[number]
        with machine(stock.copy(scenario), scenario) as one:
            one.live(number)
            before = one.calls()
            after = one.converge(one.start())
        print(f"{scenario.name}: {number} {step}: again {ended(after.calls)}")
        found += [f"{number} {step}: {each}" for each in faults(before, after, undisturbed)]
    assert found == [], "\n".join(found)
