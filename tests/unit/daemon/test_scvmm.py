"""System Center VMM: found by its media, and its installer started (spec DAEMON 1.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Optional

import pytest

from tests.support.new_machine import DVD, World
from tests.support.runner import Answers, Argv, ScriptedRunner, fails, missing, ok
from waagent.core.commands import Begun, Child, Result, Spawn
from waagent.core.context import Context
from waagent.daemon import scvmm

MARK = f"{DVD}/linuxosconfiguration.xml"
MODULES = "nls 1 0 - Live 0x0\nata_piix 45056 0 - Live 0x0\n"
INSTALLER = ("/bin/bash", f"{DVD}/install", f"-p {DVD}")


class Started:
    """A child that nobody looks at."""

    pid = 77

    def poll(self) -> Optional[int]:
        """It runs."""
        return None

    def send(self, number: int) -> None:
        """Nobody sends it anything."""
        raise AssertionError(f"signal {number}")

    def kill_group(self) -> None:
        """Nobody kills it."""
        raise AssertionError

    def descriptor(self) -> Optional[int]:
        """None is needed."""
        return None


@dataclass
class Starting:
    """A scripted runner on whose machine programs may also be started."""

    scripted: ScriptedRunner
    started: list[Spawn] = field(default_factory=list)

    def run(self, argv: Argv, *, stdin: Optional[bytes], timeout_s: float) -> Result:
        """See ``Runner.run``."""
        return self.scripted.run(argv, stdin=stdin, timeout_s=timeout_s)

    def begin(self, argv: Argv) -> Begun:
        """See ``Runner.begin``."""
        return self.scripted.begin(argv)

    def start(self, spawn: Spawn) -> Child:
        """See ``Runner.start``."""
        self.started.append(spawn)
        return Started()


def machine(
    folder: Path, files: Mapping[str, str], commands: Mapping[Argv, Answers]
) -> tuple[Context, Starting, World]:
    """A machine without the media of Azure, and what is started on it."""
    given = {"/dev/null": "", "/proc/modules": MODULES, **files}
    world = World(folder, media=None, files=given, commands=commands)
    runner = Starting(world.guest.runner)
    system = replace(world.guest.system, runner=runner)
    return replace(world.context, system=system), runner, world


def marks(folder: Path) -> Answers:
    """A mount that shows VMM's media."""

    def show(_argv: Argv, _stdin: bytes) -> None:
        (folder / MARK.lstrip("/")).write_text("<x/>")

    return ok(do=show)


def test_installer_of_the_media_is_started_and_left_alone(tmp_path: Path) -> None:
    context, runner, world = machine(tmp_path, {}, {("mount",): marks(tmp_path)})
    assert scvmm.hand_over(context)
    assert [spawn.argv for spawn in runner.started] == [INSTALLER]
    assert runner.started[0].new_session
    assert ("umount", DVD) not in world.guest.ran
    mounts = [argv for argv in world.guest.ran if argv[0] == "mount"]
    assert mounts == [("mount", "-o", "ro", "-t", "udf,iso9660,vfat", "/dev/sr0", DVD)]


def test_media_that_is_mounted_already_is_used_where_it_is(tmp_path: Path) -> None:
    files = {"/proc/mounts": f"/dev/sr0 {DVD} udf ro 0 0\n", MARK: "<x/>"}
    context, runner, world = machine(tmp_path, files, {})
    assert scvmm.hand_over(context)
    assert [spawn.argv for spawn in runner.started] == [INSTALLER]
    assert world.guest.ran == []


@pytest.mark.parametrize(
    ("files", "mount", "ran"),
    [
        ({}, fails(32, "no medium"), ["mount"]),
        ({}, ok(), ["mount", "umount"]),
        ({"/dev/cdrom": "", "/dev/hdc": ""}, fails(32), ["mount", "mount", "mount"]),
        ({"/dev/sr0x": "", "/dev/sda": "", "/dev/hda": ""}, fails(32), ["mount"]),
        ({"/proc/mounts": "/dev/sr0 /media udf ro 0 0\n"}, fails(32), []),
    ],
    ids=["empty drive", "other media", "three drives", "no drives beside it", "mounted elsewhere"],
)
def test_any_other_machine_goes_on(
    tmp_path: Path, files: Mapping[str, str], mount: Answers, ran: list[str]
) -> None:
    commands: Mapping[Argv, Answers] = {("mount",): mount, ("umount",): ok()}
    context, runner, world = machine(tmp_path, files, commands)
    assert not scvmm.hand_over(context)
    assert runner.started == []
    assert [argv[0] for argv in world.guest.ran] == ran
    assert world.guest.clock.waits == [], "each drive is tried once"


@pytest.mark.parametrize("answer", [ok(), fails(1, "not found"), missing()])
def test_driver_is_loaded_where_it_is_not_and_may_be_absent(
    tmp_path: Path, answer: Answers
) -> None:
    files = {"/proc/modules": "ata_piix_other 1 0 - Live 0x0\n"}
    commands: Mapping[Argv, Answers] = {
        ("mount",): fails(32),
        ("modprobe", "ata_piix"): answer,
    }
    context, _, world = machine(tmp_path, files, commands)
    assert not scvmm.hand_over(context)
    assert world.guest.ran[0] == ("modprobe", "ata_piix")
