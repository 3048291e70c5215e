"""How much of past goal states is kept: by count, by bytes, by age, whatever comes of others."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.support.clock import ManualClock
from tests.support.runner import ScriptedRunner
from waagent.core.conf import Conf
from waagent.core.paths import Paths, make_paths
from waagent.core.system import System
from waagent.protocol import history as module
from waagent.protocol.expiry import Bounds, Entry, measure, surplus
from waagent.protocol.history import EXPIRE_EVERY_S, KEPT, MOST_BYTES, OLDEST_S, History

DAY_S = 24 * 3600.0
ROOMY = Bounds(1000, 1 << 40, 1e12)


def entries(*sizes: int) -> list[Entry]:
    """Entries a second apart, the first being the oldest."""
    return [Entry(Path(f"/h/{n}"), n * 10**9, size) for n, size in enumerate(sizes)]


def gone(bounds: Bounds, *sizes: int, now_s: float = 0.0, stays: str = "") -> list[str]:
    found = surplus(entries(*sizes), bounds, now_s=now_s, stays=[Path(f"/h/{stays}")])
    return sorted(each.path.name for each in found)


def test_oldest_beyond_the_count_go() -> None:
    assert gone(Bounds(2, 1 << 40, 1e12), 1, 1, 1, 1) == ["0", "1"]


def test_oldest_beyond_the_bytes_go() -> None:
    assert gone(Bounds(1000, 100, 1e12), 40, 40, 40, 40) == ["0", "1"]


def test_one_that_is_too_large_alone_goes_and_smaller_older_ones_stay() -> None:
    assert gone(Bounds(1000, 100, 1e12), 40, 101, 40) == ["1"]


def test_those_beyond_the_age_go() -> None:
    assert gone(Bounds(1000, 1 << 40, 10.0), 1, 1, 1, now_s=11.5) == ["0", "1"]


def test_what_is_in_force_stays_whatever_the_bounds() -> None:
    assert gone(Bounds(1, 10, 1.0), 100, 100, now_s=1e9, stays="0") == ["1"]


def test_entries_of_the_future_are_not_old() -> None:
    assert gone(Bounds(1000, 1 << 40, 10.0), 1, 1, now_s=-1e6) == []


def test_folder_counts_with_all_that_is_in_it(tmp_path: Path) -> None:
    deep = tmp_path / "one" / "two"
    deep.mkdir(parents=True)
    (tmp_path / "one" / "a").write_bytes(b"x" * 10)
    (deep / "b").write_bytes(b"x" * 20)
    found = list(measure([tmp_path / "one", tmp_path / "gone"]))
    assert [(each.path.name, each.size) for each in found] == [("one", 30)]


class Machine:
    """A lib dir whose clock stands where the kernel's does, so that ages are true."""

    def __init__(self, root: Path) -> None:
        self.clock = ManualClock(datetime.now(timezone.utc))
        self.paths: Paths = make_paths(System(root, ScriptedRunner({}), self.clock), Conf())
        self.paths.lib.mkdir(parents=True)
        self.history = History(self.paths, self.clock)

    def goal_state(self, number: int) -> None:
        self.clock.advance(1)
        self.history.begin(str(number), str(number))
        self.history.save({"GoalState.xml": f"<{number}/>"}, redacted={})

    def past(self) -> list[str]:
        """The tags of what the history holds."""
        return sorted(path.name.rpartition("__")[2] for path in self.paths.history.iterdir())

    def later(self, seconds: float) -> None:
        """Time goes by, and the loop looks once."""
        self.clock.advance(seconds)
        self.history.expire()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def sparse(path: Path, size: int) -> None:
    """A file of that size which takes no room."""
    path.touch()
    os.truncate(path, size)


def test_history_is_bounded_in_bytes(machine: Machine) -> None:
    for number in (1, 2, 3, 4):
        machine.goal_state(number)
        (folder,) = machine.paths.history.glob(f"*__{number}")
        sparse(folder / "ExtensionsConfig.xml", MOST_BYTES // 3)
    machine.later(EXPIRE_EVERY_S)
    assert machine.past() == ["3", "4"]


def test_history_is_bounded_in_age_and_keeps_the_goal_state_in_force(machine: Machine) -> None:
    for number in (1, 2, 3):
        machine.goal_state(number)
    machine.history.archive()
    machine.later(OLDEST_S - DAY_S)
    assert len(machine.past()) == 3
    machine.later(2 * DAY_S)
    assert machine.past() == ["3"]


def test_history_is_bounded_without_any_goal_state(machine: Machine) -> None:
    """A fabric that is down, or a machine that idles for years, fills no disk."""
    for number in range(KEPT * 3):
        (machine.paths.history / f"stray-{number}").mkdir(parents=True)
    machine.history.expire()
    assert len(machine.past()) == KEPT
    (machine.paths.history / "one more").mkdir()
    machine.later(EXPIRE_EVERY_S - 1)
    assert len(machine.past()) == KEPT + 1, "not in every turn"
    machine.later(1)
    assert len(machine.past()) == KEPT


def test_clock_that_jumps_leaves_the_goal_state_in_force(machine: Machine) -> None:
    machine.goal_state(1)
    now = machine.clock.now()
    for years in (-30, 30):
        machine.clock.set_wall_time(now + timedelta(days=365 * years))
        machine.later(EXPIRE_EVERY_S)
        assert machine.past() == ["1"]
        assert (machine.paths.lib / "GoalState.1.xml").exists()


def test_copies_in_the_lib_dir_are_bounded_in_bytes_and_the_newest_stays(machine: Machine) -> None:
    for number in range(1, 6):
        sparse(machine.paths.lib / f"ExtensionsConfig.{number}.xml", module.MOST_COPY_BYTES // 2)
    sparse(machine.paths.lib / "Pub.Type.9.manifest.xml", 2 * module.MOST_COPY_BYTES)
    machine.history.expire()
    assert sorted(path.name for path in machine.paths.lib.iterdir()) == [
        "ExtensionsConfig.4.xml", "ExtensionsConfig.5.xml", "Pub.Type.9.manifest.xml",
    ]  # fmt: skip


def test_copies_in_the_lib_dir_are_bounded_in_age_and_the_newest_of_a_kind_stays(
    machine: Machine,
) -> None:
    for number in (1, 2, 3):
        machine.goal_state(number)
        machine.history.save_manifest("Pub.Type", b"<m/>")
    machine.later(OLDEST_S + DAY_S)
    assert sorted(path.name for path in machine.paths.lib.glob("*.xml")) == [
        "GoalState.1.xml", "GoalState.3.xml", "Pub.Type.3.manifest.xml",
    ]  # fmt: skip


def test_what_nobody_writes_any_more_goes_and_what_is_not_the_agents_stays(
    machine: Machine,
) -> None:
    old = ("VmSettings.7.json", "waagent_status.7.json", "RemoteAccess.7.xml", "RemoteAccess.xml")
    mine = ("notes.txt", "ovf-env.xml", "SharedConfig.xml", "Certificates.xml", "VmSettings.json")
    for name in (*old, *mine):
        (machine.paths.lib / name).write_text("x")
    (machine.paths.lib / "RemoteAccess.8.xml").mkdir()
    machine.history.expire()
    left = {path.name for path in machine.paths.lib.iterdir()}
    assert left == {*mine, "RemoteAccess.8.xml"}


def test_archive_that_a_full_disk_broke_off_leaves_nothing_half(machine: Machine) -> None:
    for number in (1, 2):
        machine.goal_state(number)
    (first,) = machine.paths.history.glob("*__1")
    (first / "loop").symlink_to(first / "loop")  # cannot be read, as on a disk that fails
    machine.history.archive()
    assert machine.past() == ["1", "2"], "the folder stays, and no half of an archive beside it"


def test_archive_that_was_finished_before_a_kill_is_not_written_over(machine: Machine) -> None:
    for number in (1, 2):
        machine.goal_state(number)
    machine.history.archive()
    (finished,) = machine.paths.history.glob("*__1.zip")
    whole = finished.read_bytes()
    finished.with_suffix("").mkdir()  # what the kill left of the folder
    machine.goal_state(3)
    machine.history.archive()
    assert finished.read_bytes() == whole
    assert machine.past() == ["1.zip", "2.zip", "3"]


def test_goal_state_whose_number_is_none_has_no_numbered_copies(machine: Machine) -> None:
    machine.history.begin("abc", "abc")
    machine.history.save({"GoalState.xml": "<a/>"}, redacted={})
    assert (machine.paths.lib / "Incarnation").read_text() == "abc"
    assert not (machine.paths.lib / "GoalState.abc.xml").exists()
