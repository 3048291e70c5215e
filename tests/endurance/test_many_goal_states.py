"""One goal state after the other: nothing grows, neither in memory nor on the disk.

`make endurance` runs a thousand; without it there are as few as show that the test works.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.endurance.process import GOAL_STATES, IS_LONG, Child, Sample
from tests.fabric import ECHO, Fabric, Vm, echo_extension
from tests.fabric.model import FAST_TRACK_OFF, FAST_TRACK_ON, ExtensionGoal

WARM_UP = 300 if IS_LONG else 2
EVERY = 50 if IS_LONG else 1
MOST_KB_A_STATE = 1.0 if IS_LONG else 500.0
MOST_FILES_A_STATE = 6  # settings, status, three copies; and the status that is being written


def slope(samples: list[Sample]) -> float:
    """The kilobytes that each goal state costs, by least squares."""
    count = len(samples)
    middle = (count - 1) / 2
    mean = sum(sample.own_kb for sample in samples) / count
    above = sum((at - middle) * (sample.own_kb - mean) for at, sample in enumerate(samples))
    return above / sum((at - middle) ** 2 for at in range(count)) / EVERY


def says(text: str, status: dict[str, Any]) -> bool:
    """Whether a status document has this text anywhere."""
    return text in str(status)


def run_through(child: Child, count: int) -> list[Sample]:
    """Change the settings again and again, each time when the last change was reported."""
    samples = []
    for number in range(1, count + 1):
        since = len(child.fabric.world.received.statuses)
        child.fabric.portal.update_settings(ECHO, {"echo": f"round {number} of many"})
        child.fabric.await_status(partial(says, f"echo=round {number} of many "), since=since)
        if number >= WARM_UP and number % EVERY == 0:
            samples.append(child.sample())
            print(f"{number:5} {samples[-1]}", flush=True)
    return samples


@pytest.mark.parametrize(
    ("fast_track", "has_certificates"), [(FAST_TRACK_OFF, IS_LONG), (FAST_TRACK_ON, False)]
)
def test_child_stays_as_small_as_it_is_through_many_goal_states(
    tmp_path: Path, fast_track: str, has_certificates: bool
) -> None:
    """Memory, descriptors, threads and files; a short run has not reached the bounds of files."""
    goal = ExtensionGoal(extensions=(echo_extension(secret=None),))
    vm = Vm(fast_track=fast_track, has_certificates=has_certificates)
    with Fabric(replace(vm, goal=goal, fast_goal=goal)) as fabric, Child(tmp_path, fabric) as child:
        fabric.await_extension(ECHO, seq_no=0)
        samples = run_through(child, GOAL_STATES)
        costs = slope(samples)
        print(f"\n{fast_track}: {costs:+.2f} kB for each of {GOAL_STATES} goal states")
        assert len(set(child.calls("enable"))) == 1
        assert len(child.calls("enable")) == GOAL_STATES + 1, "each was carried out once"
    first, last = samples[0], samples[-1]
    assert costs < MOST_KB_A_STATE
    assert last.descriptors <= first.descriptors + 6, "some are open for a moment only"
    assert last.threads <= first.threads + 1
    assert last.logs == first.logs
    assert last.history <= 51
    assert last.spool < 200
    room = 8 if IS_LONG else MOST_FILES_A_STATE * GOAL_STATES
    assert last.lib <= first.lib + room
