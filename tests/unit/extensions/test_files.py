"""Settings, environment, manifest, states and left-overs: what lies in a handler's folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.extensions.world import NAME, World, goal, manifest_json, one, package, several
from waagent.core import files
from waagent.core.paths import Paths
from waagent.extensions.codes import ExtensionError, ManifestError
from waagent.extensions.home import HandlerHome, home_of
from waagent.extensions.manifest import parse_handler_manifest, read_handler_manifest
from waagent.extensions.settings import render_environment, render_settings, write_settings
from waagent.extensions.state import (
    TRANSITIONS,
    Change,
    HandlerState,
    Operation,
    change,
    find_installed,
    read_state,
)
from waagent.extensions.sweep import prepare
from waagent.protocol.documents.handlers import Settings

ECHO, MULTI = "Oracle.Test.Echo", "Oracle.Test.Multi"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A guest with one version in the store."""
    made = World(tmp_path)
    made.store.publish("1.0.0", package())
    return made


def on_a_vm(name: str) -> HandlerHome:
    """A handler where it lies on a real guest."""
    lib, log = Path("/var/lib/waagent"), Path("/var/log/azure")
    return home_of(Paths(lib, log, log, log, log, log, log), name, "1.0.0")


@pytest.mark.parametrize(("name", "size"), [(ECHO, 448), (MULTI, 455)])
def test_environment_has_the_recorded_size(name: str, size: int) -> None:
    """To the byte, as files-extension.txt and files-multi.txt have it."""
    text = render_environment(on_a_vm(name))
    assert len(text) == size
    (document,) = json.loads(text)
    assert document["version"] == 1.0
    assert document["handlerEnvironment"]["statusFolder"] == (
        f"/var/lib/waagent/{name}-1.0.0/status"
    )


@pytest.mark.parametrize("is_multi", [False, True])
def test_stored_status_has_the_recorded_size(world: World, is_multi: bool) -> None:
    """165 bytes for both recorded handlers."""
    name = MULTI if is_multi else ECHO
    world.store.publish("1.0.0", package(supportsMultipleExtensions=True), name=name)
    entries = (Settings("one" if is_multi else name, 0),)
    handler = one(name=name, settings=entries, is_multi_config=is_multi)
    world.extensions.process(goal(handler))
    home = world.home("1.0.0", name)
    assert home.stored_status.stat().st_size == 165
    assert home.state.read_bytes() == b"Enabled"
    assert home.state.stat().st_mode & 0o7777 == 0o644


def test_settings_keep_every_value_and_their_nulls() -> None:
    """Extensions count on all three members."""
    public = {"text": '\u00fc\U0001f600 \\ "', "deep": [1, None, {"a": False}]}
    document = json.loads(render_settings(Settings(NAME, 0, public_settings=public)))
    assert document == {
        "runtimeSettings": [
            {
                "handlerSettings": {
                    "publicSettings": public,
                    "protectedSettings": None,
                    "protectedSettingsCertThumbprint": None,
                }
            }
        ]
    }


def test_settings_files_are_for_root_only(world: World) -> None:
    """The reference leaves protected settings at 0644."""
    home = world.home("1.0.0")
    secret = Settings(NAME, 4, protected_settings="c2VjcmV0", certificate_thumbprint="AB")
    write_settings(home, one(), secret)
    write_settings(home, several(), Settings("first", 9))
    write_settings(home, one(), None)
    modes = {path.name: path.stat().st_mode & 0o7777 for path in home.config.iterdir()}
    assert modes == {"4.settings": 0o600, "first.9.settings": 0o600, "0.settings": 0o600}
    assert home.config.stat().st_mode & 0o7777 == 0o700
    assert home.settings("0").read_bytes() == b""


def test_settings_that_were_no_json_keep_their_number_as_text(world: World) -> None:
    """So that a status of that number reaches the platform (WIRE 3.7.4)."""
    entry = Settings(NAME, "12")
    wanted = goal(one(settings=(entry,)))
    world.extensions.process(wanted)
    assert world.calls() == ["install 1.0.0 12", "enable 1.0.0 12"]
    (record,) = world.extensions.statuses(wanted)
    assert record.extension is not None
    assert (record.extension.sequence_number, record.extension.status) == (12, "success")


def parsed(**options: Any) -> Any:
    """A parsed manifest with these members."""
    return parse_handler_manifest(json.dumps(manifest_json(**options)).encode())


@pytest.mark.parametrize("names", [("",), ("one", "two", "a.b")])
def test_settings_and_statuses_of_long_ago_are_forgotten(
    world: World, names: tuple[str, ...]
) -> None:
    """Those of each extension by themselves; an extension's own files are none of them."""
    home = home_of(world.paths, NAME, "1.0.0")
    files.ensure_directory(home.status)
    own = [home.status / name for name in ("note.status", "7.txt", "x.9.status")]
    for path in own:
        path.touch()
    (home.status / "0.status").mkdir()
    os.utime(home.status / "0.status", (1, 1))
    for number in range(1, 61):
        for name in names:
            handler = several(Settings(name, number)) if name else one(number)
            prefix = f"{name}.{number}" if name else str(number)
            write_settings(home, handler, handler.settings[0])
            os.utime(home.settings(prefix), (number, number))
            home.extension_status(prefix).touch()
            os.utime(home.extension_status(prefix), (number, number))
    prefixes = [f"{name}." if name else "" for name in names]
    kept = {f"{prefix}{number}" for prefix in prefixes for number in range(11, 61)}
    assert {path.stem for path in home.config.glob("*.settings")} == kept
    assert kept <= {path.stem for path in home.status.glob("*.status")}
    assert not home.extension_status(f"{prefixes[0]}9").exists()
    assert all(path.exists() for path in own)


def test_settings_are_written_whatever_an_extension_made_of_its_status_folder(
    world: World,
) -> None:
    home = home_of(world.paths, NAME, "1.0.0")
    files.ensure_directory(home.folder)
    home.status.touch()
    handler = one(7)
    write_settings(home, handler, handler.settings[0])
    assert home.settings("7").exists()


def test_manifest_says_how_a_handler_wants_to_be_treated() -> None:
    """Defaults, booleans as words, the update mode in any case."""
    plain = parsed()
    assert (plain.reports_heartbeat, plain.updates_with_install) == (False, True)
    assert parsed(updateMode="updateWITHinstall").updates_with_install
    assert not parsed(updateMode="UpdateWithoutInstall").updates_with_install
    assert parsed(reportHeartbeat="True").reports_heartbeat
    odd = parsed(supportsMultipleExtensions=1)
    assert not odd.supports_multiple_extensions
    assert len(odd.notes) == 1


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"{", 1003), (b"", 1003), (b"{}", -1), (b"[]", -1), (b'[{"handlerManifest": null}]', -1)],
)
def test_unusable_manifest_is_told_by_its_code(data: bytes, code: int) -> None:
    """As the service knows it."""
    with pytest.raises(ManifestError) as caught:
        parse_handler_manifest(data)
    assert caught.value.code == code


def test_missing_manifest_and_missing_command_are_errors(world: World) -> None:
    """1002, and -1 when the operation comes round."""
    with pytest.raises(ManifestError) as caught:
        read_handler_manifest(world.home("1.0.0"))
    assert caught.value.code == 1002
    with pytest.raises(ExtensionError, match="no updateCommand"):
        parsed(updateCommand=None).command(Operation.UPDATE)


@pytest.mark.parametrize("content", [b"", b"Enab", b"\xff\x00", b"x" * 100_000, b"Enabled\n"])
def test_state_of_a_damaged_file_is_not_installed(world: World, content: bytes) -> None:
    """A line end does no harm."""
    home = world.home("1.0.0")
    home.config.mkdir(parents=True)
    home.state.write_bytes(content)
    expected = HandlerState.ENABLED if content == b"Enabled\n" else HandlerState.NOT_INSTALLED
    assert read_state(home) is expected


def test_handler_whose_state_was_lost_is_installed_again(world: World) -> None:
    """An empty file is what a crash of an older agent leaves."""
    world.extensions.process(goal(one()))
    world.home("1.0.0").state.write_bytes(b"")
    world.calls()
    world.start().process(goal(one()))
    assert world.calls() == ["install 1.0.0 0", "enable 1.0.0 0"]


@pytest.mark.parametrize("before", list(HandlerState))
@pytest.mark.parametrize("what", list(Change))
def test_state_changes_only_as_the_table_says(
    world: World, before: HandlerState, what: Change
) -> None:
    """What is not in the table is refused and leaves the state."""
    home = world.home("1.0.0")
    home.config.mkdir(parents=True)
    home.state.write_text(before.value)
    after = TRANSITIONS[before].get(what)
    if after is None:
        with pytest.raises(ExtensionError):
            change(home, what)
        assert read_state(home) is before
    else:
        assert change(home, what) is after
        assert read_state(home) is after


def test_installed_version_is_the_highest_that_works(world: World) -> None:
    """By number, not by letter; failed and unpacked ones do not count."""
    words = {"1.9": "Installed", "1.10": "Enabled", "2.0": "FailedUpgrade", "3.0": "NotInstalled"}
    homes = []
    for version, word in words.items():
        home = world.home(version)
        home.config.mkdir(parents=True)
        home.state.write_text(word)
        homes.append(home)
    found = find_installed(homes)
    assert found is not None
    assert found.version == "1.10"
    assert find_installed(homes[2:]) is None


def test_start_sweeps_what_a_kill_left_and_renews_environments(world: World) -> None:
    """Files of others with dots stay."""
    world.extensions.process(goal(one()))
    home = world.home("1.0.0")
    home.environment.write_text("stale")
    for name in (
        f".{NAME}-1.0.0.unpacked",
        f"..{NAME}-1.0.0.unpacked.ab12_xyz",
        "..Microsoft.Azure.Monitor.AzureMonitorLin.ab12_xyz",
        f".{NAME}-1.removed",
    ):
        (world.paths.lib / name / "bin").mkdir(parents=True)
    others = [world.paths.lib / ".WALinuxAgent-9.9.unpacked", world.paths.lib / ".cache"]
    for folder in others:
        folder.mkdir()
    whole = [
        home.config / "HandlerState",
        home.config / "0.settings",
        home.config / "HandlerCommand",
    ]
    whole += [home.folder / "HandlerEnvironment.json", home.status / "0.status"]
    whole += [home.config / f"{'a' * 60}.0.settings", world.paths.lib / f"{NAME}.1.manifest.xml"]
    half = [path.with_name(files.name_beside(path.name)) for path in whole]
    for path in half:
        path.write_text("half")
    kept = home.config / ".keep"
    kept.touch()
    prepare(world.paths)
    assert world.folders() == sorted([*(each.name for each in others), f"{NAME}-1.0.0"])
    assert [path for path in half if path.exists()] == []
    assert kept.exists()
    assert home.environment.read_bytes() == render_environment(home)


def test_start_goes_on_when_the_log_folder_is_a_file(world: World) -> None:
    """It is told, and other handlers are prepared."""
    world.paths.extension_log.parent.mkdir(parents=True)
    world.paths.extension_log.write_text("in the way")
    world.extensions.prepare()
    assert world.paths.extension_log.read_text() == "in the way"
