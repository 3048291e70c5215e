"""What /proc says of one process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

import pytest

from tests.support.machine import ANY_USER, Machine
from waagent.core.clock import SystemClock
from waagent.core.commands import MARKER, ProcessRunner
from waagent.core.system import System
from waagent.guest.processes import find_begin, find_orphans_of_ours

REST = "1 77 77 0 -1 4194560 100 0 0 0 0 0 0 0 20 0 1 0 4711 2000 100 18446744073709551615"


@pytest.mark.parametrize(
    ("stat", "begin"),
    [
        (f"77 (sh) S {REST}", 4711),
        (f"77 (a) R 1 (b) c) D {REST}", 4711),
        (f"77 (sh) Z {REST}", None),
        (f"77 (sh) X {REST}", None),
        ("77 (sh) S 1 77", None),
        ("", None),
    ],
)
def test_begin_of_a_process_is_found_whatever_its_name(
    tmp_path: Path, stat: str, begin: Optional[int]
) -> None:
    """What has ended has none, though its number is still taken."""
    guest = Machine("debian-12", files={"/proc/77/stat": stat + "\n"}).boot(tmp_path)
    assert find_begin(guest.system, 77) == begin
    assert find_begin(guest.system, 78) is None


def test_begin_of_this_process_is_what_the_kernel_says() -> None:
    """The same each time, and not before that of its parent."""
    system = System(Path("/"), ProcessRunner({}), SystemClock(), {})
    begin = find_begin(system, os.getpid())
    assert begin is not None
    assert begin == find_begin(system, os.getpid())
    assert begin >= (find_begin(system, os.getppid()) or 0)


def test_daemon_that_carries_our_mark_is_no_orphan_to_its_own_helper(tmp_path: Path) -> None:
    """One that -start started, or an extension: its parent is the first process."""
    mark = f"PATH=/bin\0{'='.join(MARKER)}\0"
    files = {}
    for pid, parent in ((os.getpid(), 500), (500, 1), (501, 1), (502, 501)):
        files[f"/proc/{pid}/environ"] = mark
        files[f"/proc/{pid}/stat"] = f"{pid} (python3) S {parent} 1 1"
        files[f"/proc/{pid}/cmdline"] = f"command-{pid}\0"
    guest = Machine(files=files).boot(tmp_path)
    assert [process.pid for process in find_orphans_of_ours(guest.system)] == [501]


@pytest.mark.root
def test_process_of_another_user_is_no_orphan_of_ours_whatever_it_carries(tmp_path: Path) -> None:
    """Else anybody could have us wait for him at each start."""
    files = {
        "/proc/501/environ": f"{'='.join(MARKER)}\0",
        "/proc/501/stat": "501 (mkfs.ext4) S 1 1 1",
        "/proc/501/cmdline": "mkfs.ext4\0",
    }
    guest = Machine(files=files).boot(tmp_path)
    assert [process.pid for process in find_orphans_of_ours(guest.system)] == [501]
    os.chown(guest.path("/proc/501"), ANY_USER, ANY_USER)
    assert find_orphans_of_ours(guest.system) == ()
