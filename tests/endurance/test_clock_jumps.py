"""The machine's clock is set while the agent runs: by ten years, and back by more than a day."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from tests.endurance.process import Child
from tests.fabric import ECHO, Fabric, Vm, echo_extension
from tests.fabric.model import ExtensionGoal

DAY_S = 24 * 3600.0
YEAR_S = 365 * DAY_S
# Ten years ahead, a day back, the time of a machine without a battery, and set right again.
JUMPS = (10 * YEAR_S, -DAY_S, -50 * YEAR_S, 0.0)
SPEED = 40.0  # heartbeats come once a minute


def bring_about(child: Child, word: str) -> dict[str, Any]:
    """New settings, and the status that says that they are in force."""
    since = len(child.fabric.world.received.statuses)
    child.fabric.portal.update_settings(ECHO, {"echo": word})
    return child.fabric.await_status(lambda status: f"echo={word} " in str(status), since=since)


def is_near(text: str, offset_s: float) -> bool:
    """Whether a time that the agent wrote is that of its own clock."""
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    here = datetime.now(timezone.utc) + timedelta(seconds=offset_s)
    return abs((here - moment).total_seconds()) < 600


def test_child_goes_on_when_the_wall_clock_jumps(tmp_path: Path) -> None:
    """Goal states, status, history, telemetry and heartbeats."""
    goal = ExtensionGoal(extensions=(echo_extension(secret=None),))
    vm = replace(Vm(has_certificates=False), goal=goal, fast_goal=goal)
    with Fabric(vm) as fabric, Child(tmp_path, fabric, speed=SPEED) as child:
        fabric.await_extension(ECHO, seq_no=0)
        for number, offset in enumerate(JUMPS):
            started = time.monotonic()
            since = len(fabric.journal.entries())
            child.set_wall_clock(offset)
            status = bring_about(child, f"jump {number}")
            assert is_near(status["timestampUTC"], offset)
            for endpoint in ("wire.telemetry", "hgap.health", "imds.instance", "wire.goalstate"):
                fabric.await_requests(endpoint, 1, since=since)
            year = (datetime.now(timezone.utc) + timedelta(seconds=offset)).year
            assert list(child.paths.history.glob(f"{year}-*__{fabric.vm.incarnation}*"))
            print(f"{offset / DAY_S:+.0f} days: all of it in {time.monotonic() - started:.1f} s")
        assert child.calls("enable") == [ECHO] * (1 + len(JUMPS))
        said = child.output()
    assert "Traceback" not in said
    assert [line for line in said.splitlines() if " ERROR " in line] == []
