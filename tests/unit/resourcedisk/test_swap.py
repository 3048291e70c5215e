"""The swap file on the resource disk (spec DAEMON 2.5)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

import pytest

from tests.support.runner import Answer, Argv, fails, missing, ok, times_out
from tests.unit.resourcedisk.world import POINT, SIGNED, SWAP, SWAPS, World, errors
from waagent.resourcedisk import swap
from waagent.resourcedisk.errors import ResourceDiskError

MIB = 1024 * 1024
FILE = f"{POINT}/swapfile"
ON = f"{SWAPS}{FILE} file 1020 0 -2\n"
OTHERS = "/swap.img file 1020 0 -3\n"
HOW = {"fails": fails(1, "it is broken"), "hangs": times_out(), "missing": missing()}


def world_with(
    tmp_path: Path,
    *,
    filesystem: str = "ext4",
    swaps: str = SWAPS,
    commands: Optional[dict[Argv, Answer]] = None,
    conf: str = SWAP,
) -> World:
    """A machine whose disk is mounted."""
    mounts = f"20 1 8:2 / {POINT} rw - {filesystem} /dev/sdb1 rw\n"
    world = World(tmp_path, mounts=mounts, swaps=swaps, commands=commands or {}, conf=conf)
    world.guest.path(POINT).mkdir()
    return world


def put(world: World, size: int, mode: int = 0o600, start: bytes = SIGNED) -> None:
    """An old swap file."""
    path = world.guest.path(FILE)
    path.write_bytes(start)
    with path.open("r+b") as stream:
        stream.truncate(size)
    path.chmod(mode)


@pytest.mark.parametrize(
    ("filesystem", "programs"),
    [
        ("ext4", ["mkswap", "swapon"]),
        ("xfs", ["mkswap", "swapon"]),
        ("btrfs", ["chattr", "mkswap", "swapon"]),
        ("ext3", ["mkswap", "swapon"]),
    ],
)
def test_swap_file_is_made_as_its_file_system_wants_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, filesystem: str, programs: list[str]
) -> None:
    world = world_with(tmp_path, filesystem=filesystem)
    world.prepare()
    assert [argv[0] for argv in world.runner.ran] == programs
    state = world.guest.path(FILE).stat()
    assert state.st_size == MIB
    assert state.st_blocks * 512 >= MIB
    assert state.st_mode & 0o7777 == 0o600
    assert caplog.messages[-3:] == [
        "Enable swap",
        "Create swap file",
        f"Enabled 1024KB of swap at {FILE}",
    ]


@pytest.mark.parametrize("size_mb", [1, 64, 65, 100])
@pytest.mark.parametrize("filesystem", ["ext4", "ext3"])
def test_swap_file_is_exactly_as_large_as_asked(
    tmp_path: Path, filesystem: str, size_mb: int
) -> None:
    conf = SWAP.replace("SwapSizeMB=1", f"SwapSizeMB={size_mb}")
    world = world_with(tmp_path, filesystem=filesystem, conf=conf)
    world.prepare()
    assert world.guest.path(FILE).stat().st_size == size_mb * MIB


def test_swap_file_is_nobodys_to_read_from_its_creation(tmp_path: Path) -> None:
    modes = []

    def look(argv: Argv, _: bytes) -> None:
        modes.append(world.guest.mode(argv[-1]))

    world = world_with(tmp_path, filesystem="btrfs", commands={("chattr", "+C"): ok(do=look)})
    before = os.umask(0)
    try:
        world.prepare()
    finally:
        os.umask(before)
    assert modes == [0o600]


def test_kernel_that_refuses_space_set_aside_gets_zeros(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = world_with(tmp_path)
    world.runner.answers = {
        **world.runner.answers,
        ("swapon",): [fails(255, "swapfile has holes"), ok()],
    }
    world.prepare()
    assert "falling back to writing zeros" in caplog.text
    assert errors(caplog) == []


def test_swap_that_is_on_is_left_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world = world_with(tmp_path, swaps=ON + OTHERS)
    put(world, MIB, 0o644)
    world.prepare()
    assert "Swap already enabled" in caplog.messages
    assert f"Changing mode of {FILE} to 600" in caplog.messages
    assert world.guest.mode(FILE) == 0o600
    assert world.runner.ran == []


def test_file_of_the_right_size_is_used_again(tmp_path: Path) -> None:
    world = world_with(tmp_path)
    put(world, MIB)
    world.prepare()
    assert world.runner.ran == [("swapon", FILE)]


def test_file_of_another_size_is_switched_off_and_no_other_swap(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = world_with(tmp_path, swaps=ON + OTHERS)
    put(world, 2 * MIB)
    world.prepare()
    assert "Remove old swap file" in caplog.messages
    assert world.runner.ran[0] == ("swapoff", FILE)
    assert [argv for argv in world.runner.ran if argv[0] == "swapoff"] == [("swapoff", FILE)]
    assert world.guest.path(FILE).stat().st_size == MIB


@pytest.mark.parametrize("how", HOW)
def test_swap_that_cannot_be_switched_off_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    world = world_with(tmp_path, swaps=ON, commands={("swapoff",): HOW[how]})
    put(world, 2 * MIB)
    world.prepare()
    assert "stays in use with its old size" in errors(caplog)[0]
    assert world.guest.path(FILE).stat().st_size == 2 * MIB


def test_file_of_that_name_that_is_no_swap_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = world_with(tmp_path)
    put(world, 12345, start=b"somebody's")
    world.prepare()
    assert "is there and is no swap file; move it away" in errors(caplog)[0]
    assert world.guest.path(FILE).read_bytes().startswith(b"somebody's")
    assert world.runner.ran == []


@pytest.mark.parametrize("linked", ["symlink_to", "hardlink_to"])
def test_link_of_that_name_is_not_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, linked: str
) -> None:
    world = world_with(tmp_path)
    other = world.guest.path("/other")
    other.write_bytes(SIGNED)
    if linked == "symlink_to":
        world.guest.path(FILE).symlink_to(other)
    else:
        os.link(other, world.guest.path(FILE))
    world.prepare()
    assert "is no swap file" in errors(caplog)[0]
    assert other.read_bytes() == SIGNED


def test_folder_where_others_write_gets_no_swap(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = world_with(tmp_path)
    world.guest.path(POINT).chmod(0o777)
    world.prepare()
    assert "others than root may write there" in errors(caplog)[0]
    assert world.runner.ran == []


def test_size_zero_is_an_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world_with(tmp_path, conf=SWAP.replace("SwapSizeMB=1", "SwapSizeMB=0")).prepare()
    assert errors(caplog) == [
        "Failed to enable swap Invalid swap size [0]: ResourceDisk.SwapSizeMB must be above 0"
    ]


def test_disk_that_is_too_small_is_an_error_before_anything_is_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = world_with(tmp_path, conf=SWAP.replace("SwapSizeMB=1", "SwapSizeMB=999999999"))
    world.prepare()
    assert "MiB free; change ResourceDisk.SwapSizeMB" in errors(caplog)[0]
    assert world.runner.ran == []


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("program", ["mkswap", "swapon", "chattr +C"])
def test_program_that_is_at_fault_is_one_error_and_leaves_no_half_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, program: str, how: str
) -> None:
    world = world_with(tmp_path, filesystem="btrfs", commands={tuple(program.split()): HOW[how]})
    world.prepare()
    (error,) = errors(caplog)
    assert error.startswith("Failed to enable swap cannot ")
    assert not world.guest.path(f"{POINT}/{swap.BESIDE}").exists()


def test_what_a_kill_left_half_made_is_removed(tmp_path: Path) -> None:
    world = world_with(tmp_path)
    world.guest.write(f"{POINT}/{swap.BESIDE}", "half")
    world.prepare()
    assert world.guest.names(POINT) == ["DATALOSS_WARNING_README.txt", "swapfile"]


def test_agent_that_is_told_to_stop_leaves_no_half_file(tmp_path: Path) -> None:
    world = world_with(tmp_path, filesystem="ext3")
    context = world.context(SWAP)
    context.stop.set()
    with pytest.raises(ResourceDiskError, match="told to stop"):
        swap.ensure_swap(context, POINT, 1)
    assert world.guest.names(POINT) == []
