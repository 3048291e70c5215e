"""Choosing a version, and getting its package into place whole."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.extensions.world import NAME, World, manifest_json, one, package, zipped
from waagent.core.version import Version
from waagent.extensions.codes import ExtensionError, ManifestError, PackageError
from waagent.extensions.manifest import MAX_BYTES
from waagent.extensions.package import choose, fetch, initialise, matches, remove
from waagent.extensions.state import Change, HandlerState, change, read_state
from waagent.protocol.documents.handlers import RequestedState
from waagent.protocol.documents.manifest import Manifest, Package

VERSIONS = st.lists(st.integers(0, 12), min_size=1, max_size=4).map(
    lambda parts: ".".join(map(str, parts))
)


def offered(*versions: str) -> Manifest:
    """A manifest of these versions."""
    return Manifest(tuple(Package(version, (f"{NAME} {version}",)) for version in versions))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A guest and an empty store."""
    return World(tmp_path)


@given(VERSIONS, st.lists(VERSIONS, max_size=8))
def test_chosen_version_is_the_largest_that_begins_with_the_requested(
    requested: str, versions: list[str]
) -> None:
    """Or there is none, which is an error."""
    handler = one(version=requested)
    fitting = [version for version in versions if matches(requested, version)]
    if not fitting:
        with pytest.raises(ExtensionError):
            choose(handler, offered(*versions), None)
        return
    choice = choose(handler, offered(*versions), "9.9")
    assert choice.version in fitting
    assert Version(choice.version) == max(map(Version, fitting))


@pytest.mark.parametrize(
    ("requested", "version", "does"),
    [
        ("2.1", "2.1.13", True),
        ("2.1", "2.10", False),
        ("2.1.0.0", "2.1", False),
        ("2.01", "2.1.5", True),
        ("2", "2", True),
    ],
)
def test_version_matches_part_by_part(requested: str, version: str, does: bool) -> None:
    """Not letter by letter."""
    assert matches(requested, version) is does


def test_removal_takes_the_installed_version_published_or_not() -> None:
    """What is here is what can be removed."""
    handler = one(version="1.0", state=RequestedState.UNINSTALL)
    assert choose(handler, offered("1.0", "2.0"), "2.0").version == "2.0"
    gone = choose(handler, offered(), "3.0")
    assert (gone.version, gone.package) == ("3.0", None)


def test_requested_version_that_is_none_is_an_error_of_this_handler() -> None:
    """It cannot be compared."""
    with pytest.raises(ExtensionError, match="cannot read"):
        choose(one(version="latest"), offered("1.0"), None)


def get(world: World, content: bytes, version: str = "1.0") -> bool:
    """Fetch this package."""
    world.store.publish(version, content)
    return fetch(world.store, world.home(version), Package(version, (f"{NAME} {version}",)))


def test_package_is_unpacked_executable_and_removed(world: World) -> None:
    """As the recording's modes have it."""
    assert get(world, package())
    initialise(world.home("1.0"), one())
    folder = world.home("1.0").folder
    assert {path.name: path.stat().st_mode & 0o7777 for path in folder.rglob("*")} == {
        "HandlerManifest.json": 0o744,
        "HandlerEnvironment.json": 0o644,
        "bin": 0o755,
        "run.sh": 0o744,
        "config": 0o700,
        "status": 0o700,
    }
    assert folder.stat().st_mode & 0o7777 == 0o755
    assert world.home("1.0").events.stat().st_mode & 0o7777 == 0o700
    assert world.home("1.0").log_folder.stat().st_mode & 0o7777 == 0o755
    assert world.folders() == [f"{NAME}-1.0"]


def test_next_uri_is_tried_when_a_package_cannot_be_unpacked(world: World) -> None:
    """A mirror may be broken."""
    world.store.publish("bad", b"PK\x03\x04 and no more")
    world.store.publish("1.0", package())
    uris = (f"{NAME} bad", f"{NAME} 1.0")
    assert fetch(world.store, world.home("1.0"), Package("1.0", uris))
    assert world.home("1.0").manifest.exists()


def test_second_attempt_keeps_what_the_handler_knows(world: World) -> None:
    """mrseq, statuses and states outlive it; files of the package are replaced."""
    get(world, package(files={"bin/data": b"old", "lib": b"a file"}))
    home = world.home("1.0")
    initialise(home, one())
    home.last_sequence.write_text("5")
    home.extension_status("5").write_text("[]")
    change(home, Change.UPDATE_FAILED)
    get(world, package(files={"bin/data": b"new", "lib/inner": b"a folder now"}))
    assert home.last_sequence.read_text() == "5"
    assert home.extension_status("5").exists()
    assert read_state(home) is HandlerState.FAILED_UPGRADE
    assert (home.folder / "bin" / "data").read_bytes() == b"new"
    assert (home.folder / "lib" / "inner").exists()


def test_failed_second_attempt_changes_nothing(world: World) -> None:
    """The first content stays whole."""
    get(world, package(files={"bin/data": b"old"}))
    with pytest.raises(PackageError) as caught:
        get(world, b"no zip")
    assert caught.value.code == 1001
    assert (world.home("1.0").folder / "bin" / "data").read_bytes() == b"old"
    assert world.folders() == [f"{NAME}-1.0"]


def test_package_cannot_say_that_it_is_installed(world: World) -> None:
    """Its state is ours to write."""
    said = ("HandlerState", "HandlerStatus", "HandlerCommand", "one.HandlerState")
    get(world, package(files={f"config/{name}": b"enabled" for name in said}))
    assert read_state(world.home("1.0")) is HandlerState.NOT_INSTALLED
    assert list(world.home("1.0").config.iterdir()) == []


@pytest.mark.parametrize("name", ["../../escaped", "/escaped", "bin/../../escaped"])
def test_package_that_leaves_its_folder_is_refused(world: World, name: str) -> None:
    """Nothing of it lands anywhere."""
    with pytest.raises(PackageError):
        get(world, package(files={name: b"x"}))
    assert world.folders() == []
    assert not list(world.paths.lib.parent.rglob("escaped"))


def test_package_that_lies_there_is_used_and_stays(world: World) -> None:
    """An image builder may have put it there; nothing is downloaded."""
    world.home("1.0").package.write_bytes(package())
    assert not fetch(world.store, world.home("1.0"), Package("1.0", ()))
    assert world.store.asked == []
    assert world.home("1.0").package.exists()


def test_half_a_package_that_lies_there_is_downloaded_again(world: World) -> None:
    """A kill during the download leaves such a one."""
    world.home("1.0").package.write_bytes(package()[:200])
    assert get(world, package())
    assert world.folders() == [f"{NAME}-1.0"]


def test_manifest_is_lifted_to_the_top_without_its_byte_order_mark(world: World) -> None:
    """Packages have it in a folder now and then."""
    text = json.dumps(manifest_json()).encode()
    get(world, zipped({"deep/er/HandlerManifest.json": b"\xef\xbb\xbf" + text}))
    initialise(world.home("1.0"), one())
    assert world.home("1.0").manifest.read_bytes() == text


def test_package_without_a_manifest_is_refused(world: World) -> None:
    """In the words that the portal knows."""
    get(world, zipped({"readme": b""}))
    with pytest.raises(PackageError, match=r"HandlerManifest\.json not found") as caught:
        initialise(world.home("1.0"), one())
    assert caught.value.code == -1


def test_package_that_the_disk_cannot_take_leaves_nothing(world: World) -> None:
    """Here the name of the staging folder is too long for the file system."""
    name = "n" * 243
    world.store.publish("1.0", package(), name=name)
    with pytest.raises(PackageError, match="too long"):
        fetch(world.store, world.home("1.0", name), Package("1.0", (f"{name} 1.0",)))
    assert world.folders() == []


def test_removing_takes_folder_and_packages_and_may_be_repeated(world: World) -> None:
    """The old name of the package too."""
    get(world, package())
    home = world.home("1.0")
    home.package.touch()
    (world.paths.lib / f"{NAME}-1.0.zip").touch()
    remove(home)
    remove(home)
    assert world.folders() == []


def nest(folder: Path, depth: int) -> None:
    """Folders in folders, deeper than a path may be long."""
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=descriptor)
        inner = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)


def test_folders_without_end_are_left_and_told_and_stop_nobody(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """An extension that copies itself into itself makes such; the next start comes by them too."""
    get(world, package())
    nest(world.home("1.0").folder, 300)
    remove(world.home("1.0"))
    assert world.folders() == [f".{NAME}-1.0.removed"]
    assert "nested more than 200 deep" in caplog.text
    caplog.clear()
    world.start().prepare()
    assert "nested more than 200 deep" in caplog.text
    get(world, package())
    remove(world.home("1.0"))
    assert world.folders() == [f".{NAME}-1.0.removed"]


def test_folder_that_an_extension_made_is_removed_with_all_that_is_in_it(world: World) -> None:
    """Links go and what they point to stays; what nobody may write to goes too."""
    get(world, package())
    folder = world.home("1.0").folder
    nest(folder, 150)
    (folder / "closed").mkdir(mode=0o500)
    (folder / "elsewhere").symlink_to(world.paths.lib.parent)
    os.mkfifo(folder / "pipe")
    (world.paths.lib.parent / "precious").touch()
    remove(world.home("1.0"))
    assert world.folders() == []
    assert (world.paths.lib.parent / "precious").exists()


def test_manifest_that_is_too_large_cannot_be_read(world: World) -> None:
    """It is read into memory as a whole."""
    get(world, zipped({"HandlerManifest.json": b" " * (MAX_BYTES + 1)}))
    with pytest.raises(ManifestError, match="larger than") as caught:
        initialise(world.home("1.0"), one())
    assert caught.value.code == 1002


def test_package_in_a_folder_of_its_own_has_its_manifest_lifted_and_nothing_else(
    world: World,
) -> None:
    """Commands are looked for below the handler's folder, as ever (spec EXT 3.8)."""
    manifest = json.dumps(manifest_json()).encode()
    get(world, zipped({"Top/HandlerManifest.json": manifest, "Top/bin/run.sh": b"#!/bin/sh\n"}))
    initialise(world.home("1.0"), one())
    folder = world.home("1.0").folder
    assert world.home("1.0").manifest.read_bytes() == manifest
    assert (folder / "Top/bin/run.sh").stat().st_mode & 0o777 == 0o744
    assert not (folder / "bin").exists()


def test_manifest_of_an_earlier_package_says_nothing_of_the_next(world: World) -> None:
    """A publisher may repair a version under its old number."""
    get(world, package())
    initialise(world.home("1.0"), one())
    better = manifest_json(updateMode="UpdateWithoutInstall")
    get(world, zipped({"deep/HandlerManifest.json": json.dumps(better).encode()}))
    assert not initialise(world.home("1.0"), one()).updates_with_install
    get(world, zipped({"readme": b""}))
    with pytest.raises(PackageError, match="not found"):
        initialise(world.home("1.0"), one())


@pytest.mark.parametrize("name", ["config", "config/HandlerState/x", "HandlerManifest.json/x"])
def test_package_that_has_something_else_in_our_places_is_refused(world: World, name: str) -> None:
    """And nothing of it is left."""
    manifest = json.dumps(manifest_json()).encode()
    with pytest.raises(PackageError, match=r"cannot unpack|not found"):
        get(world, zipped({"deep/HandlerManifest.json": manifest, name: b"x"}))
    assert not [each for each in world.folders() if each.startswith(".")]
