"""What is waited for before the first goal state is carried out, and what its result says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.clock import ManualClock
from tests.support.runner import Answer, ScriptedRunner, fails, missing, ok, times_out
from tests.unit.extensions.world import World
from waagent.core.clock import Stop
from waagent.core.conf import load
from waagent.core.context import Context
from waagent.core.events import Events
from waagent.core.paths import make_paths
from waagent.core.system import System
from waagent.exthandlers.processing import Processing

ASKED = ("cloud-init", "status", "--wait")
ON = "Extensions.WaitForCloudInit=y\nExtensions.WaitForCloudInitTimeout=1800\n"


class Guest:
    """A machine whose cloud-init answers as it is told to."""

    def __init__(self, root: Path, conf: str, answer: Answer) -> None:
        self.runner = ScriptedRunner({ASKED: answer})
        clock = ManualClock()
        system = System(root, self.runner, clock)
        loaded = load(conf.encode(), "waagent.conf").conf
        self.paths = make_paths(system, loaded)
        events = Events(self.paths.events, clock)
        context = Context(system, loaded, self.paths, events, Stop())
        self.processing = Processing(context, World(root / "world").extensions)

    def said(self) -> list[tuple[bool, str]]:
        """Success and text of each event."""
        found: list[tuple[bool, str]] = []
        for path in sorted(self.paths.events.glob("*.tld")):
            parameters: dict[str, Any] = {
                each["name"]: each["value"] for each in json.loads(path.read_text())["parameters"]
            }
            found.append((parameters["OperationSuccess"], parameters["Message"]))
        return found


def test_cloud_init_is_waited_for_once_where_that_is_configured(tmp_path: Path) -> None:
    guest = Guest(tmp_path, ON, ok("status: done\n"))
    guest.processing.await_cloud_init()
    guest.processing.await_cloud_init()
    assert guest.runner.ran == [ASKED]
    assert guest.said() == [(True, "cloud-init completed\nstatus: done")]


def test_cloud_init_is_not_waited_for_unless_that_is_configured(tmp_path: Path) -> None:
    guest = Guest(tmp_path, "", ok())
    guest.processing.await_cloud_init()
    assert guest.runner.ran == []


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (fails(1, stdout="status: error"), "cloud-init did not complete: 1 status: error"),
        (missing(), "cloud-init did not complete: -1 "),
        (times_out("...."), "'cloud-init status --wait' did not end within 1800 s"),
    ],
)
def test_cloud_init_that_fails_is_told_of_and_stops_nothing(
    tmp_path: Path, answer: Answer, text: str
) -> None:
    guest = Guest(tmp_path, ON, answer)
    guest.processing.await_cloud_init()
    ((success, message),) = guest.said()
    assert not success
    assert message.startswith(text)
