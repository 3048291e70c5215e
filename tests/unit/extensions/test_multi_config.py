"""Handlers with several extensions, each with settings, state and status of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.extensions.world import NAME, World, goal, one, package, several
from waagent.extensions.state import HandlerState, is_extension_enabled, read_state
from waagent.protocol.documents.handlers import RequestedState, Settings
from waagent.protocol.documents.status import HandlerStatus

DISABLED = RequestedState.DISABLED


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A guest and a handler that takes several extensions."""
    made = World(tmp_path)
    made.store.publish("1.0.0", package(supportsMultipleExtensions=True))
    made.store.publish("1.1.0", package(supportsMultipleExtensions=True))
    return made


def extensions_of(records: tuple[HandlerStatus, ...]) -> list[tuple[str, int, str, str]]:
    """Name, sequence number, status and message of each record's extension."""
    found = [record.extension for record in records]
    return [
        (e.extension_name or "", e.sequence_number, e.status or "", e.message or "")
        for e in found
        if e is not None
    ]


def test_each_extension_is_enabled_under_its_name_after_one_install(world: World) -> None:
    """Files, environment and records carry the extension's name."""
    wanted = goal(several(Settings("one", 0), Settings("two", 3)))
    world.extensions.process(wanted)
    assert world.calls() == ["install 1.0.0 one.0", "enable 1.0.0 one.0", "enable 1.0.0 two.3"]
    assert world.told("enable")["ConfigExtensionName"] == "two"
    home = world.home("1.0.0")
    assert sorted(path.name for path in home.config.iterdir()) == [
        "HandlerState",
        "HandlerStatus",
        "one.0.settings",
        "one.HandlerState",
        "two.3.settings",
        "two.HandlerState",
    ]
    assert extensions_of(world.extensions.statuses(wanted)) == [
        ("one", 0, "success", "from one.0"),
        ("two", 3, "success", "from two.3"),
    ]
    assert home.command_log("one").exists()
    assert home.command_log("two").exists()
    assert world.store.asked.count(f"{NAME} manifest") == 1


def test_extension_that_is_no_longer_wanted_is_disabled_and_forgotten(world: World) -> None:
    """Its files go and it is not reported; the handler and the others stay enabled."""
    world.extensions.process(goal(several(Settings("one", 0), Settings("a.one", 0))))
    world.calls()
    wanted = goal(several(Settings("one", 0, state=DISABLED), Settings("a.one", 1)), number=2)
    world.extensions.process(wanted)
    assert world.calls() == ["disable 1.0.0 one.0", "enable 1.0.0 a.one.1"]
    home = world.home("1.0.0")
    assert not is_extension_enabled(home, "one")
    assert read_state(home) is HandlerState.ENABLED
    assert sorted(path.name for path in home.status.iterdir()) == [
        "a.one.0.status",
        "a.one.1.status",
    ]
    assert [each[0] for each in extensions_of(world.extensions.statuses(wanted))] == ["a.one"]
    world.extensions.process(
        goal(several(Settings("one", 0, state=DISABLED), Settings("a.one", 1)), number=3)
    )
    assert world.calls() == ["enable 1.0.0 a.one.1"]


def test_handler_is_installed_but_not_ready_when_its_last_extension_is_disabled(
    world: World,
) -> None:
    """The state goes back to installed."""
    world.extensions.process(goal(several(Settings("one", 0))))
    wanted = goal(several(Settings("one", 0, state=DISABLED)), number=2)
    world.extensions.process(wanted)
    assert read_state(world.home("1.0.0")) is HandlerState.INSTALLED
    (record,) = world.extensions.statuses(wanted)
    assert (record.status, record.message, record.extension) == (
        "NotReady",
        "Plugin disabled",
        None,
    )


def test_failed_enable_of_one_extension_is_told_in_its_own_status(tmp_path: Path) -> None:
    """Code -1 (EXT App. E 8); the handler's status is that of what went before."""
    world = World(tmp_path)
    content = package(exits={"enable": 9}, status="", supportsMultipleExtensions=True)
    world.store.publish("1.0.0", content)
    wanted = goal(several(Settings("one", 0)))
    world.extensions.process(wanted)
    (record,) = world.extensions.statuses(wanted)
    assert (record.status, record.message) == ("NotReady", "Plugin installed but not enabled")
    assert record.extension is not None
    assert (record.extension.status, record.extension.code) == ("error", -1)
    assert (record.extension.message or "").startswith(
        f"Error processing MultiConfig extension {NAME}.one: [MultiConfigExtensionEnableError]"
        " [ExtensionOperationError] Non-zero exit code: 9, "
    )
    document = json.loads(world.home("1.0.0").extension_status("one.0").read_text())
    assert document[0]["status"]["name"] == f"{NAME}.one"
    assert document[0]["status"]["operation"] == "Enable"


def test_handler_that_takes_one_extension_only_is_rejected(world: World) -> None:
    """When the fabric expects it to take several; also later, when it is installed."""
    world.store.publish("1.0.0", package())
    wanted = goal(several(Settings("one", 0)))
    world.extensions.process(wanted)
    (record,) = world.extensions.statuses(wanted)
    assert record.code == -1
    assert record.message == (
        f"Ran into config errors: [ExtensionsGoalStateError] Handler {NAME} does not support"
        " MultiConfig but CRP expects it, failing due to inconsistent data. \n"
        "Please retry again as another operation with updated settings"
    )
    assert record.extension is not None
    assert record.extension.status == "error"
    assert world.calls() == []


def test_failed_download_is_tried_again_for_each_extension(world: World) -> None:
    """Each is an item of its own (EXT 2.6)."""
    world.store.publish("1.0.0", b"no zip")
    wanted = goal(several(Settings("one", 0), Settings("two", 0)))
    world.extensions.process(wanted)
    assert world.store.asked.count(f"{NAME} 1.0.0") == 2
    assert [(each[0], each[2]) for each in extensions_of(world.extensions.statuses(wanted))] == [
        ("one", "error"),
        ("two", "error"),
    ]


def test_update_disables_what_was_enabled_and_tells_every_exit_code(world: World) -> None:
    """As JSON, in the order of the goal state; the first item updates, all are enabled."""
    world.extensions.process(goal(several(Settings("one", 0))))
    world.calls()
    entries = (Settings("one", 0), Settings("two", 0))
    world.extensions.process(goal(several(*entries, version="1.1.0"), number=2))
    assert world.calls() == [
        "disable 1.0.0 one.0",
        "update 1.1.0 one.0",
        "uninstall 1.0.0 one.0",
        "install 1.1.0 one.0",
        "enable 1.1.0 one.0",
        "enable 1.1.0 two.0",
    ]
    name = "AZURE_GUEST_AGENT_DISABLE_CMD_EXIT_CODES_MULTIPLE_EXTENSIONS"
    assert json.loads(world.told("update")[name]) == [
        {"extensionName": "one", "exitCode": "0"},
        {"extensionName": "two", "exitCode": "NOT_RUN"},
    ]
    assert world.told("enable")["AZURE_GUEST_AGENT_UNINSTALL_CMD_EXIT_CODE"] == "NOT_RUN"


def test_uninstall_disables_only_what_is_enabled_and_is_done_once(world: World) -> None:
    """The second item finds nothing left to do."""
    entries = (Settings("one", 1), Settings("two", 0))
    world.extensions.process(goal(several(*entries)))
    world.calls()
    gone = several(*entries, state=RequestedState.UNINSTALL)
    world.extensions.process(goal(gone, number=2))
    assert world.calls() == ["disable 1.0.0 one.1", "disable 1.0.0 two.0", "uninstall 1.0.0 one.1"]
    assert world.folders() == []
    assert world.extensions.statuses(goal(gone, number=2)) == ()


def test_disk_is_read_back_with_dots_in_extension_names(world: World) -> None:
    """For goal states that cannot be carried out (EXT App. E 21)."""
    world.store.publish("1.0.0", package(), name="B.Plain")
    world.store.publish("1.0.0", package(status=""), name="C.None")
    plain = one(2, name="B.Plain")
    world.extensions.process(
        goal(several(Settings("x.y", 5)), plain, one(name="C.None", settings=()))
    )
    records = world.extensions.statuses(goal(number=2, required_features=("Unknown",)))
    found = [(r.name, r.extension.sequence_number if r.extension else None) for r in records]
    assert found == [("B.Plain", 2), ("C.None", None), (NAME, 5)]
    assert records[2].extension is not None
    assert records[2].extension.extension_name == "x.y"
