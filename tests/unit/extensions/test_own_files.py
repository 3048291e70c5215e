"""What a handler's own commands do to its files, and what a killed agent left, stops nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.extensions.world import NAME, World, goal, one, package, several
from waagent.extensions.state import Change, HandlerState, change, read_state
from waagent.protocol.documents.handlers import RequestedState, Settings

OLD, NEW = "1.0.0", "1.1.0"
COPIES = 'if [ "$1" = update ]; then cp -r ../Test.Handler-1.0.0/config/. config/; fi'
WIPES = 'if [ "$1" = "@" ]; then rm -rf config; fi'


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A guest with the old version enabled, and both in the store."""
    made = World(tmp_path)
    for version in (OLD, NEW):
        made.store.publish(version, package(trap=COPIES))
    made.extensions.process(goal(one(version=OLD)))
    made.calls()
    return made


def test_update_command_that_copies_all_of_the_old_config_ends_enabled(world: World) -> None:
    """With it comes the old version's state, which is not the new one's."""
    world.extensions.process(goal(one(1, version=NEW), number=2))
    assert [call.split()[0] for call in world.calls()] == [
        "disable",
        "update",
        "uninstall",
        "install",
        "enable",
    ]
    assert read_state(world.home(NEW)) is HandlerState.ENABLED
    (record,) = world.extensions.statuses(goal(one(1, version=NEW), number=2))
    assert (record.status, record.code) == ("Ready", 0)


@pytest.mark.parametrize("operation", ["install", "enable"])
def test_command_that_removes_its_config_leaves_the_handler_enabled(
    tmp_path: Path, operation: str
) -> None:
    world = World(tmp_path / "guest")
    world.store.publish(OLD, package(trap=WIPES.replace("@", operation)))
    world.extensions.process(goal(one(version=OLD)))
    assert read_state(world.home(OLD)) is HandlerState.ENABLED


@pytest.mark.parametrize("state", [RequestedState.UNINSTALL, RequestedState.DISABLED])
def test_removal_needs_no_manifest(world: World, state: RequestedState) -> None:
    """The reference gives up, and tries again with the next goal state only."""
    world.store.manifests_fail = True
    world.extensions.process(goal(one(1, version=OLD, state=state), number=2))
    assert world.calls()[0] == "disable 1.0.0 1"
    assert world.home(OLD).folder.exists() == (state is RequestedState.DISABLED)


def test_manifest_that_cannot_be_had_is_asked_for_once_in_a_goal_state(world: World) -> None:
    world.store.manifests_fail = True
    world.store.asked.clear()
    wanted = goal(several(Settings("a", 0), Settings("b", 0), version=NEW), number=2)
    world.extensions.process(wanted)
    assert world.store.asked == [f"{NAME} manifest"]
    records = world.extensions.statuses(wanted)
    assert [(record.status, record.code) for record in records] == [("NotReady", -1)] * 2


def test_version_that_was_replaced_when_the_agent_was_killed_is_removed(world: World) -> None:
    """The publisher wants no install command: the new one counts before the old one is gone."""
    for each in (Change.UNPACKING, Change.UPDATED):
        world.store.publish(NEW, package(updateMode="UpdateWithoutInstall"))
        new = world.home(NEW)
        change(new, each)
    (new.folder / "HandlerManifest.json").write_bytes(world.home(OLD).manifest.read_bytes())
    (new.folder / "bin").mkdir()
    (new.folder / "bin/run.sh").write_bytes((world.home(OLD).folder / "bin/run.sh").read_bytes())
    (new.folder / "bin/run.sh").chmod(0o755)
    world.start().process(goal(one(1, version=NEW), number=2))
    assert world.calls() == ["enable 1.1.0 1"]
    assert not world.home(OLD).folder.exists()


def test_disable_that_was_killed_at_its_end_is_finished(tmp_path: Path) -> None:
    """The last extension is noted as disabled, and the handler is not."""
    world = World(tmp_path / "guest")
    world.store.publish(OLD, package(supportsMultipleExtensions=True))
    on, off = Settings("a", 0), Settings("a", 1, state=RequestedState.DISABLED)
    world.extensions.process(goal(several(on, version=OLD)))
    home = world.home(OLD)
    home.extension_state("a").unlink()
    world.calls()
    wanted = goal(several(off, version=OLD), number=2)
    world.start().process(wanted)
    assert world.calls() == [], "it was disabled before"
    assert read_state(home) is HandlerState.INSTALLED
    assert sorted(path.name for path in home.config.glob("*.settings")) == []
    (record,) = world.extensions.statuses(wanted)
    assert (record.status, record.message) == ("NotReady", "Plugin disabled")


def test_update_that_copied_the_state_and_then_failed_is_repeated_whole(tmp_path: Path) -> None:
    """The old version does not let go: the new one is not installed, whatever its file said."""
    world = World(tmp_path / "guest")
    world.store.publish(OLD, package(exits={"uninstall": 3}))
    world.store.publish(NEW, package(trap=COPIES))
    world.extensions.process(goal(one(version=OLD)))
    world.extensions.process(goal(one(1, version=NEW), number=2))
    assert read_state(world.home(NEW)) is HandlerState.NOT_INSTALLED
    assert read_state(world.home(OLD)) is HandlerState.INSTALLED
    world.calls()
    world.extensions.process(goal(one(2, version=NEW), number=3))
    assert world.calls() == ["update 1.1.0 2", "uninstall 1.0.0 2"]
