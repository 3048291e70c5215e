"""Real disks: only on a machine that is thrown away afterwards.

Started by ``test_real_disks``; anywhere else everything here fails before it does anything. A
kernel without partitions on loop devices is told of them by partx, as the agent does.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest

from tests.integration.resourcedisk.loops import (
    BUS,
    GEN2,
    GPT,
    IMAGE,
    MBR,
    MIB,
    POINT,
    RECORD,
    SWAPFILE,
    LoopDisk,
    put_data,
    run,
)
from waagent.core.clock import Stop, SystemClock
from waagent.core.conf import load
from waagent.core.context import Context
from waagent.core.events import Events
from waagent.core.paths import make_paths
from waagent.core.system import real_system
from waagent.resourcedisk.flow import prepare
from waagent.resourcedisk.mounting import README
from waagent.resourcedisk.nodes import await_device


@pytest.fixture(autouse=True)
def _clean(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Before: sure that the machine may be changed. After: nothing mounted, no swap of ours."""
    assert Path("/waagent-throwaway").exists(), "this must only run inside test_real_disks"
    caplog.set_level("INFO")
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.unlink(missing_ok=True)
    subprocess.run(["rm", "-rf", str(BUS)], check=True)
    yield
    subprocess.run(["swapoff", str(SWAPFILE)], capture_output=True, check=False)
    for place in (POINT, Path("/mnt/elsewhere")):
        subprocess.run(["umount", str(place)], capture_output=True, check=False)


@pytest.fixture
def disk(_clean: None) -> Iterator[LoopDisk]:
    """A disk full of zeros."""
    IMAGE.touch()
    os.truncate(IMAGE, 340 * MIB)
    made = LoopDisk(run("losetup", "--find", "--show", str(IMAGE)))
    run("blockdev", "--setrw", made.node)  # whatever the last user of it left
    yield made
    subprocess.run(["swapoff", str(SWAPFILE)], capture_output=True, check=False)
    subprocess.run(["umount", str(POINT)], capture_output=True, check=False)
    subprocess.run(["umount", "/mnt/elsewhere"], capture_output=True, check=False)
    made.detach()
    IMAGE.unlink()


def activate(filesystem: str = "ext4", swap_mb: int = 0, options: str = "None") -> None:
    """One start of the daemon."""
    text = f"ResourceDisk.Format=y\nResourceDisk.Filesystem={filesystem}\n"
    text += f"ResourceDisk.MountOptions={options}\n"
    text += (
        f"ResourceDisk.EnableSwap={'y' if swap_mb else 'n'}\nResourceDisk.SwapSizeMB={swap_mb}\n"
    )
    system = real_system()
    conf = load(text.encode(), "waagent.conf").conf
    paths = make_paths(system, conf)
    prepare(Context(system, conf, paths, Events(paths.events, system.clock), Stop()))


def mounted() -> str:
    """The file system that is mounted where it is wanted, or nothing."""
    found = subprocess.run(
        ["findmnt", "-n", "-o", "FSTYPE", "-M", str(POINT)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return found.stdout.strip()


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("filesystem", ["ext4", "ext3", "xfs", "btrfs"])
def test_platforms_mbr_disk_becomes_the_file_system_with_swap(
    disk: LoopDisk, caplog: pytest.LogCaptureFixture, filesystem: str
) -> None:
    """And the next start finds all of it as it was."""
    disk.partition(MBR)
    disk.ntfs(1, README)
    disk.attach()
    activate(filesystem, 70)
    assert errors(caplog) == []
    assert mounted() == filesystem
    assert "temporary disk".upper() in (POINT / README).read_text()
    assert SWAPFILE.stat().st_size == 70 * MIB
    assert SWAPFILE.stat().st_mode & 0o7777 == 0o600
    assert str(SWAPFILE) in Path("/proc/swaps").read_text()
    assert run("sfdisk", "--part-type", disk.node, "1") == "83"
    activate(filesystem, 70)
    assert caplog.messages[-1] == "Swap already enabled"
    (POINT / "kept").write_text("mine")
    before = SWAPFILE.stat()
    run("swapoff", str(SWAPFILE))
    run("umount", str(POINT))
    activate(filesystem, 70)
    assert (POINT / "kept").read_text() == "mine"
    assert SWAPFILE.stat().st_ino == before.st_ino
    assert caplog.messages[-1] == f"Enabled {70 * 1024}KB of swap at {SWAPFILE}"
    activate(filesystem, 20)
    assert SWAPFILE.stat().st_size == 20 * MIB
    assert errors(caplog) == []


def test_platforms_gpt_disk_becomes_one_partition(
    disk: LoopDisk, caplog: pytest.LogCaptureFixture
) -> None:
    disk.partition(GPT)
    disk.ntfs(2, README)
    disk.attach(GEN2, "0:0:0:1")
    activate("xfs")
    assert errors(caplog) == []
    assert mounted() == "xfs"
    assert not Path(disk.part(2)).exists()
    assert run("sfdisk", "--list", disk.node).count("Linux filesystem") == 1


def test_blank_disk_becomes_one_partition(disk: LoopDisk, caplog: pytest.LogCaptureFixture) -> None:
    disk.attach()
    activate()
    assert errors(caplog) == []
    assert mounted() == "ext4"


def test_os_disk_of_the_second_generation_is_not_touched(
    disk: LoopDisk, caplog: pytest.LogCaptureFixture
) -> None:
    disk.attach(GEN2, "0:0:0:0")
    before = disk.content()
    activate()
    assert "This VM has no resource disk" in caplog.messages
    assert errors(caplog) == []
    assert disk.content() == before


@pytest.mark.parametrize("kind", ["ntfs", "xfs", "vfat", "swap", "luks", "lvm", "zeros-then-data"])
def test_data_of_somebody_survives(
    disk: LoopDisk, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    disk.partition(MBR)
    put_data(disk, kind)
    disk.attach()
    before = disk.content()
    activate(swap_mb=20)
    (error,) = errors(caplog)
    assert f"{disk.part()} holds " in error
    assert f"run mkfs on {disk.part()} yourself" in error
    assert mounted() == ""
    assert disk.content() == before


def test_two_partitions_of_somebody_survive(
    disk: LoopDisk, caplog: pytest.LogCaptureFixture
) -> None:
    """The reference removes all partitions of such a disk at each start."""
    disk.partition("label: gpt\n,100M\n,100M\n")
    run("mkfs.ext4", "-q", disk.part(1))
    run("mkfs.ext4", "-q", disk.part(2))
    disk.attach()
    activate()
    assert errors(caplog) == []
    assert mounted() == "ext4"
    assert disk.kind(2) == "ext4"


def test_disk_that_is_mounted_is_used_where_it_is(
    disk: LoopDisk, caplog: pytest.LogCaptureFixture
) -> None:
    disk.partition(MBR)
    run("mkfs.ext4", "-q", disk.part())
    place = Path("/mnt/elsewhere")
    place.mkdir(exist_ok=True)
    run("mount", disk.part(), str(place))
    disk.attach()
    activate(swap_mb=20)
    message = f"Resource disk [{disk.part()}] is already mounted [{place}]"
    assert message in caplog.messages
    assert (place / README).exists()
    assert f"Enabled 20480KB of swap at {place}/swapfile" in caplog.messages
    run("swapoff", str(place / "swapfile"))


def test_disk_that_another_namespace_has_mounted_is_not_touched(
    disk: LoopDisk, caplog: pytest.LogCaptureFixture
) -> None:
    """Our table of mounts says nothing of it; the kernel does."""
    disk.partition(MBR)
    disk.ntfs(1)
    disk.attach()
    descriptor = os.open(disk.part(), os.O_RDONLY | os.O_EXCL)
    try:
        activate()
    finally:
        os.close(descriptor)
    assert "the kernel says that it is in use" in errors(caplog)[0]
    assert disk.kind() == "ntfs"


def test_disk_that_vanishes_midway_is_one_clear_error(
    disk: LoopDisk,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """mkfs pulls the disk out from under itself."""
    disk.partition(MBR)
    disk.ntfs(1)
    disk.attach()
    program = tmp_path / "mkfs.ext4"
    program.write_text(f"#!/bin/sh\npartx -d {disk.node}\nlosetup -d {disk.node}\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    activate()
    (error,) = errors(caplog)
    assert "cannot format" in error
    assert mounted() == ""


def test_wrong_mount_options_cost_nothing(disk: LoopDisk, caplog: pytest.LogCaptureFixture) -> None:
    disk.partition(MBR)
    disk.ntfs(1)
    disk.attach()
    activate()
    (POINT / "kept").write_text("mine")
    run("umount", str(POINT))
    activate(options="bogus")
    assert "are ResourceDisk.MountOptions right?" in errors(caplog)[0]
    activate()
    assert (POINT / "kept").read_text() == "mine"


def test_file_system_of_ours_that_is_damaged_is_made_anew(
    disk: LoopDisk, caplog: pytest.LogCaptureFixture
) -> None:
    disk.partition(MBR)
    disk.ntfs(1)
    disk.attach()
    activate()
    run("umount", str(POINT))
    with Path(disk.part()).open("r+b") as stream:
        stream.seek(4096)
        stream.write(os.urandom(64 * 1024))  # its group descriptors
    activate()
    assert errors(caplog) == []
    assert "Attempting to format and retry mount" in caplog.text
    assert mounted() == "ext4"


def test_kill_in_the_middle_of_mkfs_is_taken_up_at_the_next_start(
    disk: LoopDisk,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk.partition(MBR)
    disk.ntfs(1)
    disk.attach()
    program = tmp_path / "mkfs.ext4"
    program.write_text('#!/bin/sh\nhead -c 99999 /dev/urandom >"$2"\nkill -9 $$\n')
    program.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        activate()
    assert len(errors(caplog)) == 1
    activate()
    assert len(errors(caplog)) == 1
    assert mounted() == "ext4"


def test_full_disk_gets_no_swap_and_keeps_its_files(
    disk: LoopDisk, caplog: pytest.LogCaptureFixture
) -> None:
    disk.partition(MBR)
    disk.ntfs(1)
    disk.attach()
    activate(swap_mb=2000)
    assert "cannot make a swap file of 2000 MiB" in errors(caplog)[0]
    assert sorted(entry.name for entry in POINT.iterdir()) == [README, "lost+found"]


def test_read_only_disk_is_not_formatted(disk: LoopDisk, caplog: pytest.LogCaptureFixture) -> None:
    disk.partition(MBR)
    disk.ntfs(1)
    disk.attach()
    run("blockdev", "--setro", disk.node)
    activate()
    assert "it is read-only" in errors(caplog)[0]
    assert disk.kind() == "ntfs"


def test_partition_that_appears_wakes_who_waits_for_it(disk: LoopDisk) -> None:
    """By the kernel's event: a wait for a device ends long before the next look would come."""
    disk.partition(MBR)
    run("partx", "--delete", disk.node)
    woken = []

    class Watched(SystemClock):
        """Says whether a wait ended by a descriptor."""

        def wait(self, stop: object, seconds: float, *descriptors: int) -> bool:
            assert len(descriptors) == 1, "the kernel is not listened to"
            before = self.monotonic()
            result = super().wait(None, 30.0, *descriptors)
            woken.append(self.monotonic() - before < 20.0)
            return result

    real = real_system()
    system = type(real)(real.root, real.runner, Watched(), real.environment)
    timer = Timer(0.2, run, ("partx", "--add", disk.node))
    node = Path(disk.part())
    told: list[int] = []
    timer.start()
    try:
        assert await_device(system, None, lambda: node.exists() or None, told.append)
    finally:
        timer.join()
    assert woken
    assert all(woken)
