"""What /proc says of one process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

import pytest

from tests.support.machine import Machine
from waagent.core.clock import SystemClock
from waagent.core.commands import ProcessRunner
from waagent.core.system import System
from waagent.guest.processes import find_begin

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
