"""An agent that has nothing to do: what it asks, and that it leaves the disk alone."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.fabric import ECHO, Fabric
from tests.fabric.model import FAST_TRACK_ON
from tests.support.agent import RootedAgent
from tests.support.clock import ManualClock
from tests.support.runner import ScriptedRunner
from waagent.core.clock import Stop
from waagent.core.conf import load
from waagent.core.context import Context
from waagent.core.events import Events, Op
from waagent.core.paths import make_paths
from waagent.core.system import System
from waagent.environment.thread import make_environment
from waagent.guest.hostname import read_hostname
from waagent.guest.profiles import DEBIAN

PERIOD_S = 30
TURNS_OF_AN_HOUR = 3600 // PERIOD_S
MOST_CPU_S = 2.0
"""In an hour, for all that the environment thread looks at: a thousandth of a processor."""
Shape = dict[str, tuple[int, int, int]]


def shape(root: Path) -> Shape:
    """All files and folders with what changes when anything in them is written.

    What the agent believes is left out: /run is no disk, and that is one file all the time.
    """
    found: Shape = {}
    for path in (root, *root.rglob("*")):
        state, name = path.lstat(), str(path.relative_to(root))
        if not name.startswith("run/waagent"):
            found[name] = (state.st_ino, state.st_mtime_ns, state.st_ctime_ns)
    assert [path.name for path in (root / "run/waagent").glob("*")] in (["goal-state.json"], [])
    return found


def requests(agent: RootedAgent, since: int) -> Counter[str]:
    """How often each endpoint was asked, but for the signal of each minute's status upload."""
    found = Counter(entry.endpoint for entry in agent.fabric.journal.entries()[since:])
    assert found.pop("wire.healthservice", 0) <= 60
    return found


def kept_status(agent: RootedAgent) -> Path:
    """The status in the newest folder of the history."""
    newest = max(each for each in agent.paths.history.iterdir() if each.is_dir())
    return newest / "waagent_status.json"


def asked(agent: RootedAgent, since: int) -> dict[str, int]:
    """How often each endpoint was asked since a number of the journal."""
    return Counter(entry.endpoint for entry in agent.fabric.journal.entries()[since:])


def test_idle_hour_writes_only_the_hours_summary_and_asks_only_for_news(
    fabric: Fabric, tmp_path: Path
) -> None:
    fabric.platform.set_fast_track(FAST_TRACK_ON)
    fabric.portal.set_goal(lambda goal: goal)
    conf = f"Extensions.GoalStatePeriod={PERIOD_S}\n"
    agent = RootedAgent(tmp_path, fabric, conf=conf).start()
    agent.turn(2)
    assert agent.extension(ECHO)[0] == "success"
    before, since, began = shape(tmp_path), agent.now, agent.clock.now()
    agent.turn(TURNS_OF_AN_HOUR - 10)
    assert shape(tmp_path) == before
    agent.turn(10)
    assert (agent.clock.now() - began).total_seconds() == 3600
    written = shape(tmp_path).keys() - before.keys()
    assert [Path(each).suffix for each in written] == [".tld"]
    (summary,) = agent.events(Op.VM_SETTINGS_SUMMARY)
    assert json.loads(summary["Message"])["errors"] == 0
    requests = asked(agent, since)
    assert requests.pop("wire.healthservice") <= 60, "the host hears of itself once a minute"
    news = ("wire.goalstate", "hgap.vmsettings", "hgap.status")
    assert requests == dict.fromkeys(news, TURNS_OF_AN_HOUR)
    answers = {entry.answer for entry in fabric.journal.entries("hgap.vmsettings", since)}
    assert answers == {304}


def test_idle_agent_on_a_host_without_vm_settings_asks_for_two_things(agent: RootedAgent) -> None:
    before, since = shape(agent.root), agent.now
    agent.turn(20)
    assert shape(agent.root) == before
    requests = asked(agent, since)
    assert requests.pop("wire.healthservice") <= 2
    assert requests == {"wire.goalstate": 20, "hgap.status": 20}


def test_status_is_kept_again_when_an_extension_says_something_new(agent: RootedAgent) -> None:
    first = kept_status(agent).read_bytes()
    agent.turn()
    assert kept_status(agent).read_bytes() == first, "only its time was another"
    said = agent.handler(ECHO) / "status" / "0.status"
    said.write_text(said.read_text().replace("echo=first", "echo=again"))
    agent.turn()
    assert b"echo=again" in kept_status(agent).read_bytes()


def test_status_is_kept_again_when_only_the_time_an_extension_names_changed(
    agent: RootedAgent,
) -> None:
    said = agent.handler(ECHO) / "status" / "0.status"
    applied = agent.item(ECHO)["runtimeSettingsStatus"]["settingsStatus"]["status"]
    later = "2031-02-03T04:05:06Z"
    said.write_text(said.read_text().replace(applied["configurationAppliedTime"], later))
    agent.turn()
    assert later.encode() in kept_status(agent).read_bytes()


def test_every_goal_state_has_its_status_though_it_says_the_same(plain: RootedAgent) -> None:
    first = kept_status(plain)
    plain.fabric.platform.set_fast_track(FAST_TRACK_ON)
    plain.fabric.portal.set_goal(lambda goal: replace(goal, in_svd_seq_no=1))
    plain.turn()
    assert kept_status(plain) != first
    assert kept_status(plain).is_file()
    plain.start().turn()
    assert kept_status(plain).is_file()


def test_status_that_could_not_be_kept_is_kept_by_a_later_turn(agent: RootedAgent) -> None:
    status = kept_status(agent)
    aside = agent.lib("aside")
    status.parent.rename(aside)
    said = agent.handler(ECHO) / "status" / "0.status"
    said.write_text(said.read_text().replace("echo=first", "echo=again"))
    agent.new_status()
    aside.rename(status.parent)
    assert b"echo=again" not in status.read_bytes()
    agent.turn()
    assert b"echo=again" in status.read_bytes()


def test_idle_hour_of_watching_this_machine_forks_nothing_writes_nothing_and_costs_nothing(
    tmp_path: Path,
) -> None:
    """This machine's processes and name; disks and rules are left out, as they would be changed."""
    clock, runner = ManualClock(), ScriptedRunner({})
    system = System(Path("/"), runner, clock)
    conf = load(f"Lib.Dir={tmp_path}\nProvisioning.MonitorHostName=y\n".encode(), "conf").conf
    paths = make_paths(system, conf)
    context = Context(system, conf, paths, Events(paths.events, clock), Stop())
    # Or a name that somebody else left would be set on this machine.
    paths.published_hostname.write_text(read_hostname(system), encoding="utf-8")
    worker = make_environment(context, DEBIAN)
    for _ in range(4):
        worker.turn()
    before, began, used = shape(tmp_path), clock.monotonic(), time.process_time()
    while clock.monotonic() - began < 3600:
        assert worker.turn()
    used = time.process_time() - used
    print(f"\nan hour of watching: {used * 1000:.0f} ms of processor time")
    assert shape(tmp_path) == before
    assert runner.ran == []
    assert used < MOST_CPU_S
