"""Past goal states on disk: named, bounded, archived; and never in the agent's way (WIRE 3.10)."""

from __future__ import annotations

import os
import zipfile
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.support.clock import ManualClock
from tests.support.runner import ScriptedRunner
from waagent.core.conf import Conf
from waagent.core.paths import make_paths
from waagent.core.system import System
from waagent.protocol.history import ARCHIVABLE, KEPT, History

NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=timezone.utc)


class Machine:
    """A lib dir and its history."""

    def __init__(self, root: Path) -> None:
        self.clock = ManualClock(NOON)
        system = System(root, ScriptedRunner({}), self.clock)
        self.paths = make_paths(system, Conf())
        self.paths.lib.mkdir(parents=True)
        self.history = History(self.paths, self.clock)

    def goal_state(self, number: int) -> None:
        """One goal state more, with its documents, a second after the one before."""
        self.clock.advance(1)
        self.history.begin(str(number), str(number))
        self.history.save(
            {"GoalState.xml": f"<{number}/>", "ExtensionsConfig.xml": f"secret {number}"},
            redacted={"ExtensionsConfig.xml": f"redacted {number}"},
        )

    def names(self) -> list[str]:
        """What the history folder holds."""
        return sorted(path.name for path in self.paths.history.iterdir())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without any history."""
    return Machine(tmp_path)


def test_folder_is_named_by_time_and_tag_and_closed(machine: Machine) -> None:
    machine.history.begin("3-1003", "3")
    (folder,) = machine.paths.history.iterdir()
    assert folder.name == "2026-01-31T12-00-00__3-1003"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert machine.paths.history.stat().st_mode & 0o777 == 0o700


def test_redacted_documents_lie_in_the_folder_and_whole_ones_in_the_lib_dir(
    machine: Machine,
) -> None:
    machine.goal_state(2)
    (folder,) = machine.paths.history.iterdir()
    assert (folder / "ExtensionsConfig.xml").read_text() == "redacted 2"
    assert (machine.paths.lib / "ExtensionsConfig.2.xml").read_text() == "secret 2"
    for path in (folder / "ExtensionsConfig.xml", machine.paths.lib / "ExtensionsConfig.2.xml"):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("etag", ["../../../etc/cron.d/x", '"0x8D/"', "a" * 5000, "a\0b\n", ".."])
def test_tag_of_the_host_cannot_lead_out_of_the_history(machine: Machine, etag: str) -> None:
    machine.history.begin(f"1-{etag}", "1")
    machine.history.save_unreadable(etag, {"VmSettings.json": "{}"})
    folders = list(machine.paths.history.iterdir())
    assert len(folders) == 2
    assert all(folder.name.startswith("2026-01-31T12-00-00__") for folder in folders)
    assert {path.name for path in machine.paths.lib.iterdir()} == {"history"}


def test_same_goal_state_keeps_its_folder(machine: Machine) -> None:
    machine.goal_state(1)
    machine.clock.advance(6)
    machine.goal_state(1)
    assert machine.names() == ["2026-01-31T12-00-01__1"]
    machine.goal_state(2)
    machine.goal_state(1)
    assert len(machine.names()) == 3, "but not once another was in between"


def test_unreadable_settings_do_not_take_the_place_of_the_goal_state(machine: Machine) -> None:
    machine.goal_state(1)
    machine.history.save_unreadable("77", {"VmSettings.json": "no JSON"})
    machine.history.save_status("{}")
    status = next(machine.paths.history.rglob("waagent_status.json"))
    assert status.parent.name.endswith("__1")


def test_oldest_beyond_fifty_go(machine: Machine) -> None:
    for number in range(1, KEPT + 4):
        machine.goal_state(number)
    names = machine.names()
    assert len(names) == KEPT
    assert names[0].endswith("__4")


def test_all_but_the_newest_become_archives(machine: Machine) -> None:
    for number in (1, 2, 3):
        machine.goal_state(number)
    machine.history.archive()
    assert [name.rpartition("__")[2] for name in machine.names()] == ["1.zip", "2.zip", "3"]
    first = machine.paths.history / machine.names()[0]
    assert first.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(first) as archive:
        assert sorted(archive.namelist()) == ["ExtensionsConfig.xml", "GoalState.xml"]
        assert archive.read("ExtensionsConfig.xml") == b"redacted 1"
    machine.history.archive()
    assert len(machine.names()) == 3


def test_files_from_before_1980_can_be_archived(machine: Machine) -> None:
    machine.goal_state(1)
    (folder,) = machine.paths.history.iterdir()
    os.utime(folder / "GoalState.xml", (0, 0))
    machine.goal_state(2)
    machine.history.archive()
    assert machine.names()[0].endswith("__1.zip")


@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("2026-01-31T12-00-00__1", True),
        ("2026-01-31T12:00:00.123456_incarnation_3", True),
        ("2026-01-31T12-00-00__3-1003", True),
        ("2026-01-31T12-00-00_status", True),
        ("2026-01-31T12-00-00", True),
        ("2026-01-31T12-00-00__etag", False),
        ("my notes", False),
        ("2026-01-31", False),
    ],
)
def test_only_names_of_agents_are_archived(name: str, matches: bool) -> None:
    assert bool(ARCHIVABLE.fullmatch(name)) is matches


def test_folders_of_people_are_left_alone_until_there_are_too_many(machine: Machine) -> None:
    mine = machine.paths.history / "my notes"
    mine.mkdir(parents=True)
    for number in (1, 2, 3):
        machine.goal_state(number)
    machine.history.archive()
    assert mine.is_dir()


def test_placeholder_is_there_for_those_who_test_for_it(machine: Machine) -> None:
    machine.goal_state(5)
    placeholder = machine.paths.lib / "GoalState.1.xml"
    assert placeholder.read_text() == "<xml>empty placeholder file</xml>"
    assert (machine.paths.lib / "Incarnation").read_text() == "5"


def test_newest_fifty_copies_of_a_kind_are_kept_and_the_placeholder(machine: Machine) -> None:
    for number in range(2, KEPT + 12):
        machine.goal_state(number)
        machine.history.save_manifest("Pub.1.Type{0}", b"<m/>")
    for pattern, extra in (("GoalState.*.xml", 1), ("ExtensionsConfig.*.xml", 0)):
        left = {path.name for path in machine.paths.lib.glob(pattern)}
        assert len(left) in (KEPT, KEPT + extra)
    assert (machine.paths.lib / "GoalState.1.xml").exists()
    assert len(list(machine.paths.lib.glob("Pub.1.Type{0}.*.manifest.xml"))) == KEPT


def test_manifests_are_kept_by_name(machine: Machine) -> None:
    machine.goal_state(7)
    machine.history.save_manifest("Pub.Type", b"<extension/>")
    machine.history.save_manifest("Prod", b"<agent/>", is_agent=True)
    (folder,) = machine.paths.history.iterdir()
    assert (folder / "Pub.Type.manifest.xml").read_bytes() == b"<extension/>"
    assert (folder / "waagent.Prod.manifest.xml").read_bytes() == b"<agent/>"
    assert (machine.paths.lib / "Pub.Type.7.manifest.xml").read_bytes() == b"<extension/>"
    assert (machine.paths.lib / "Prod.7.agentsManifest").read_bytes() == b"<agent/>"


def test_history_that_cannot_be_written_is_told_once_and_stops_nothing(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.paths.history.write_text("a file in its place")
    machine.goal_state(1)
    machine.history.save_manifest("Pub.Type", b"")
    assert machine.history.save_status("{}") is False
    machine.history.archive()
    assert len([r for r in caplog.records if r.name == "waagent.protocol.history"]) == 1
    assert (machine.paths.lib / "ExtensionsConfig.1.xml").exists()
    machine.paths.history.unlink()
    machine.goal_state(1)
    assert len(machine.names()) == 1, "the folder is tried again"
