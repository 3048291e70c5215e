"""A handler's life from the first goal state to the last, with real scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.extensions.world import NAME, World, goal, one, package
from waagent.core.commands import MARKER
from waagent.core.conf import Conf
from waagent.core.conf_service import ExtensionsConf
from waagent.extensions.state import HandlerState, read_state
from waagent.protocol.documents.handlers import RequestedState

DISABLED = RequestedState.DISABLED
UNINSTALL = RequestedState.UNINSTALL


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A guest with one version in the store."""
    made = World(tmp_path)
    made.store.publish("1.0.0", package())
    return made


def report(world: World, *handlers: object, number: int = 1) -> list[tuple[str, str, int, str]]:
    """Version, status, code and message of every record."""
    records = world.extensions.statuses(goal(*handlers, number=number))  # type: ignore[arg-type]
    return [(r.version, r.status, r.code, r.message or "") for r in records]


def test_new_handler_is_installed_then_enabled_and_reported(world: World) -> None:
    """The whole path, and what the fabric reads of it."""
    wanted = goal(one())
    world.extensions.process(wanted)
    assert world.calls() == ["install 1.0.0 0", "enable 1.0.0 0"]
    assert read_state(world.home("1.0.0")) is HandlerState.ENABLED
    (record,) = world.extensions.statuses(wanted)
    assert (record.name, record.version, record.status, record.code) == (NAME, "1.0.0", "Ready", 0)
    assert record.message == "Plugin enabled"
    assert record.extension is not None
    assert (record.extension.status, record.extension.message) == ("success", "from 0")
    assert (record.extension.name, record.extension.extension_name) == (NAME, None)
    assert world.kept[NAME].startswith(b"<PluginVersionManifest>")


def test_processed_goal_state_is_left_alone_until_a_restart(world: World) -> None:
    """The same process does nothing twice; a new one enables again (EXT App. E 10)."""
    world.extensions.process(goal(one()))
    world.calls()
    world.extensions.process(goal(one()))
    assert world.calls() == []
    world.start().process(goal(one()))
    assert world.calls() == ["enable 1.0.0 0"]


def test_new_settings_only_enable(world: World) -> None:
    """With the new sequence number; the files of the old one stay."""
    world.extensions.process(goal(one(0)))
    world.calls()
    world.extensions.process(goal(one(1), number=2))
    assert world.calls() == ["enable 1.0.0 1"]
    names = sorted(path.name for path in world.home("1.0.0").config.iterdir())
    assert names == ["0.settings", "1.settings", "HandlerState", "HandlerStatus"]


def test_handler_gets_the_recorded_environment_and_nothing_of_ours(tmp_path: Path) -> None:
    """As extension-calls.txt has it: neither more nor fewer of our names."""
    world = World(tmp_path, environment={MARKER[0]: MARKER[1]})
    world.store.publish("1.0.0", package())
    world.extensions.process(goal(one(7)))
    folder = str(world.home("1.0.0").folder)
    told = world.told("enable")
    ours = {k: v for k, v in told.items() if k.startswith(("AZURE_", "Config", "LANG", "PATH"))}
    assert ours == {
        "AZURE_GUEST_AGENT_EXTENSION_PATH": folder,
        "AZURE_GUEST_AGENT_EXTENSION_SUPPORTED_FEATURES": (
            '[{"Key": "ExtensionTelemetryPipeline", "Value": "1.0"}]'
        ),
        "AZURE_GUEST_AGENT_EXTENSION_VERSION": "1.0.0",
        "AZURE_GUEST_AGENT_UNINSTALL_CMD_EXIT_CODE": "NOT_RUN",
        "AZURE_GUEST_AGENT_WIRE_PROTOCOL_ADDRESS": "168.63.129.16",
        "ConfigSequenceNumber": "7",
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    assert told["PWD"] == folder


def test_failed_enable_is_reported_with_output_and_the_extensions_own_status(
    world: World,
) -> None:
    """Handler NotReady 1009 with both streams, and still what the status file says."""
    world.store.publish("1.0.0", package(exits={"enable": 5}, status="error"))
    world.extensions.process(goal(one()))
    (record,) = world.extensions.statuses(goal(one()))
    command = f"{world.home('1.0.0').folder}/bin/run.sh enable"
    assert (record.status, record.code) == ("NotReady", 1009)
    assert record.message == (
        f"[ExtensionOperationError] Non-zero exit code: 5, {command}\n"
        "[stdout]\nout of enable\n\n\n[stderr]\nerr of enable\n"
    )
    assert record.extension is not None
    assert record.extension.status == "error"
    assert read_state(world.home("1.0.0")) is HandlerState.INSTALLED


def test_failed_install_is_reported_and_tried_again_with_the_next_goal_state(
    world: World,
) -> None:
    """Code 1007, no extension status; there is no retry within a goal state."""
    world.store.publish("1.0.0", package(exits={"install": 2}))
    world.extensions.process(goal(one()))
    assert world.calls() == ["install 1.0.0 0"]
    (record,) = world.extensions.statuses(goal(one()))
    assert (record.status, record.code, record.extension) == ("NotReady", 1007, None)
    world.store.publish("1.0.0", package())
    world.extensions.process(goal(one(), number=2))
    assert world.calls() == ["install 1.0.0 0", "enable 1.0.0 0"]


def test_missing_version_and_unreachable_manifest_are_reported(world: World) -> None:
    """Both with code -1, in the reference's words."""
    world.extensions.process(goal(one(version="9.0")))
    assert report(world, one(version="9.0")) == [
        (
            "9.0",
            "NotReady",
            -1,
            f"[ExtensionError] Unable to find version 9.0 in manifest for extension {NAME}",
        )
    ]
    world.store.manifests_fail = True
    world.extensions.process(goal(one(), number=2))
    message = report(world, one(), number=2)[0][3]
    assert message.startswith(
        "[ExtensionError] Failed to get ext handler pkgs\nInner error: [ProtocolError] Failed to"
        " retrieve extension manifest. Error: "
    )


def test_package_that_is_no_zip_is_a_download_failure(world: World) -> None:
    """Code 1001, and nothing of it stays."""
    world.store.publish("1.0.0", b"this is no zip")
    world.extensions.process(goal(one()))
    ((_, status, code, message),) = report(world, one())
    assert (status, code) == ("NotReady", 1001)
    assert message.startswith(
        "Failed to download artifacts: [ExtensionDownloadError] Failed to download"
        f" {NAME}__1.0.0.zip from all URIs."
    )
    assert world.folders() == [f"{NAME}-1.0.0"]
    assert world.calls() == []


def test_disabled_handler_is_disabled_once_and_enabled_again(world: World) -> None:
    """The extension's last status is still reported meanwhile."""
    world.extensions.process(goal(one()))
    world.calls()
    off = one(state=DISABLED)
    world.extensions.process(goal(off, number=2))
    assert world.calls() == ["disable 1.0.0 0"]
    assert "AZURE_GUEST_AGENT_UNINSTALL_CMD_EXIT_CODE" not in world.told("disable")
    (record,) = world.extensions.statuses(goal(off, number=2))
    assert (record.status, record.code, record.message) == ("NotReady", 0, "Plugin disabled")
    assert record.extension is not None
    world.extensions.process(goal(off, number=3))
    assert world.calls() == []
    world.extensions.process(goal(one(), number=4))
    assert world.calls() == ["enable 1.0.0 0"]


def test_uninstalled_handler_is_disabled_uninstalled_and_no_longer_reported(
    world: World,
) -> None:
    """Its absence tells the fabric that it is gone; logs stay."""
    world.extensions.process(goal(one()))
    world.calls()
    gone = one(state=UNINSTALL)
    world.store.packages[NAME].clear()  # removal works although the version is unpublished
    world.extensions.process(goal(gone, number=2))
    assert world.calls() == ["disable 1.0.0 0", "uninstall 1.0.0 0"]
    assert world.extensions.statuses(goal(gone, number=2)) == ()
    assert world.folders() == []
    assert world.home("1.0.0").command_log(None).exists()
    assert [e for e in world.events("ReportStatus") if not e["OperationSuccess"]] == []


def test_uninstall_goes_on_when_its_command_fails_but_not_when_disable_does(
    world: World,
) -> None:
    """EXT 3.10: the one is ignored, the other aborts."""
    world.store.publish("1.0.0", package(exits={"uninstall": 3}))
    world.store.publish("1.0.0", package(exits={"disable": 4}, status="success"), name="B.Other")
    other = one(name="B.Other")
    world.extensions.process(goal(one(), other))
    gone = (one(state=UNINSTALL), one(name="B.Other", state=UNINSTALL))
    world.extensions.process(goal(*gone, number=2))
    assert world.folders() == ["B.Other-1.0.0"]
    ((_, status, code, _),) = report(world, *gone, number=2)
    assert (status, code) == ("NotReady", 1010)
    failed = [e for e in world.events("UnInstall") if not e["OperationSuccess"]]
    assert "Non-zero exit code: 3" in failed[0]["Message"]


def test_handler_that_the_goal_state_forgets_is_removed_without_a_command(world: World) -> None:
    """Folders and packages of the agent's own are not handlers."""
    world.extensions.process(goal(one()))
    world.calls()
    (world.paths.lib / "WALinuxAgent-9.9.9.9").mkdir()
    (world.paths.lib / "WALinuxAgent-9.9.9.9.zip").touch()
    (world.paths.lib / "Old.Handler-1.0.zip").touch()
    (world.paths.lib / f"{NAME}__1.0.0.zip").touch()
    world.extensions.process(goal(number=2))
    assert world.calls() == []
    assert world.folders() == ["WALinuxAgent-9.9.9.9", "WALinuxAgent-9.9.9.9.zip"]


def test_refused_extension_fails_fast_and_hides_an_older_success(tmp_path: Path) -> None:
    """Extensions.Enabled=n: nothing runs, and CRP finds the error under its sequence number."""
    world = World(tmp_path)
    world.store.publish("1.0.0", package())
    world.extensions.process(goal(one()))
    world.calls()
    off = World(tmp_path / "off", Conf(extensions=ExtensionsConf(enabled=False)))
    off.context.paths.lib.rmdir()
    world.paths.lib.rename(off.paths.lib)
    off.extensions.process(goal(one(), number=2))
    assert off.calls() == []
    (record,) = off.extensions.statuses(goal(one(), number=2))
    text = (
        f"Extension '{NAME}' will not be processed since extension processing is disabled. To"
        " enable extension processing, set Extensions.Enabled=y in '/etc/waagent.conf'"
    )
    assert (record.status, record.code, record.message) == ("NotReady", 1009, text)
    assert record.extension is not None
    assert (record.extension.status, record.extension.code) == ("error", 1009)
    assert (record.extension.operation, record.extension.message) == (None, text)


def test_one_broken_handler_leaves_the_others_alone(world: World) -> None:
    """In processing, where its folder cannot be made, and in reporting."""
    world.store.publish("1.0.0", package(), name="B.Other")
    world.home("1.0.0").folder.write_text("a file in the way")
    handlers = (one(), one(name="B.Other"), one(name="", version=""), one(name="C.Lost"))
    world.extensions.process(goal(*handlers))
    assert world.calls() == ["install 1.0.0 0", "enable 1.0.0 0"]
    world.home("1.0.0", "B.Other").stored_status.write_text("{ half of it")
    world.home("1.0.0", "C.Lost").stored_status.write_text('{"status": "Ready", "code": 3}')
    records = world.extensions.statuses(goal(*handlers))
    said = [(r.name, r.status, r.code) for r in records]
    assert said == [(NAME, "NotReady", -1), ("C.Lost", "Ready", 3)], "its folder holds no status"


def test_goal_state_of_unknown_features_is_answered_with_what_is_on_the_disk(
    world: World,
) -> None:
    """EXT 4.8: it is not executed; the handlers that are here are reported."""
    world.extensions.process(goal(one(4)))
    asked = goal(one(9), number=2, required_features=("TimeTravel",))
    (record,) = world.extensions.statuses(asked)
    assert record.extension is not None
    assert record.extension.sequence_number == 4


def test_requested_version_is_served_by_the_newest_that_begins_with_it(world: World) -> None:
    """And reported under the version that is here."""
    world.store.publish("1.0.7", package())
    world.store.publish("1.10", package())
    wanted = one(version="1.0")
    world.extensions.process(goal(wanted))
    assert world.calls() == ["install 1.0.7 0", "enable 1.0.7 0"]
    assert [each[0] for each in report(world, wanted)] == ["1.0.7"]
    assert world.events("RequestedVersionMismatch")


def test_command_log_has_the_commands_and_only_this_handlers_records(world: World) -> None:
    """CommandExecution.log is what support asks for."""
    world.store.publish("1.0.0", package(), name="B.Other")
    world.extensions.process(goal(one(), one(name="B.Other")))
    text = world.home("1.0.0").command_log(None).read_text()
    assert f"[{NAME}-1.0.0] Target handler state: enabled [incarnation_1]" in text
    assert f"[{NAME}-1.0.0] Enable extension: [bin/run.sh enable]" in text
    assert "Command: bin/run.sh enable\n[stdout]\nout of enable\n[stderr]\nerr of enable" in text
    assert "B.Other" not in text
    enabled = [e for e in world.events("Enable") if e["Message"].startswith("Command:")]
    assert [(e["Name"], e["Version"]) for e in enabled] == [(NAME, "1.0.0"), ("B.Other", "1.0.0")]
    variables = world.events("Install")[0]["Message"].partition("environment variables: ")[2]
    assert json.loads(variables)["ConfigSequenceNumber"] == "0"


def test_stop_leaves_the_goal_state_to_the_next_start(world: World) -> None:
    """No command is begun any more, and nothing is reported as failed."""
    world.stop.set()
    world.extensions.process(goal(one()))
    assert world.calls() == []
    assert world.extensions.statuses(goal(one())) == ()
    failed = [e for e in world.events() if not e["OperationSuccess"]]
    assert [e["Operation"] for e in failed] == ["ReportStatus"]


def test_restarted_agent_reports_what_it_made_of_a_shorter_version(world: World) -> None:
    """Also before the goal state is worked on again, as on hold."""
    wanted = one(version="1.0")
    world.extensions.process(goal(wanted))
    world.start()
    assert [each[:3] for each in report(world, wanted)] == [("1.0.0", "Ready", 0)]


def test_unnamed_handler_leaves_no_folder_even_when_it_is_refused(tmp_path: Path) -> None:
    """There is nobody to report a status of."""
    off = World(tmp_path, Conf(extensions=ExtensionsConf(enabled=False)))
    off.extensions.process(goal(one(name="", version="", invalid_reason="no name")))
    assert off.folders() == []


def test_invalid_handler_is_told_in_the_portals_words_and_runs_nothing(world: World) -> None:
    """Both labels are there, as the reference nests them."""
    reason = "[ExtensionsConfigError] Received empty Extensions.Plugins.Plugin.state"
    bad = one(invalid_reason=reason)
    world.extensions.process(goal(bad))
    assert world.calls() == []
    text = (
        f"Ran into config errors: [ExtensionsGoalStateError] {reason}. \n"
        "Please retry again as another operation with updated settings"
    )
    assert report(world, bad) == [("1.0.0", "NotReady", -1, text)]
    (event,) = world.events("InvalidExtensionConfig")
    assert not event["OperationSuccess"]


def test_silent_extension_is_complained_about_once_in_half_an_hour(world: World) -> None:
    """However often it is reported."""
    world.store.publish("1.0.0", package(status=""))
    world.extensions.process(goal(one()))
    for _ in range(3):
        world.extensions.statuses(goal(one()))
    assert len(world.events("StatusProcessing")) == 1
    world.clock.advance(1801)
    world.extensions.statuses(goal(one()))
    assert len(world.events("StatusProcessing")) == 2
