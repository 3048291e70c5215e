"""Just-in-time users with the real programs of this machine, on a copy that is thrown away.

The checks are ``inside.py``; the copy is that of ``test_guest_real``.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_guest_real import PROJECT, SANDBOX

CHECKS = "tests/integration/remoteaccess/inside.py"


def argv_of(place: Path, *arguments: str) -> list[str]:
    """What runs pytest on a copy of this machine that lies in a folder."""
    inner = (
        f"cd {shlex.quote(str(PROJECT))} && exec {shlex.quote(sys.executable)} -m pytest -q"
        f" -p no:cacheprovider -p no:xdist --basetemp=/run/pytest {' '.join(arguments)}"
    )
    script = SANDBOX.format(place=shlex.quote(str(place)), command=shlex.quote(inner))
    return ["unshare", "-m", "-u", "-n", "-p", "--fork", "--kill-child", "/bin/sh", "-c", script]


@pytest.mark.root
def test_just_in_time_users_come_and_go_with_the_real_programs(tmp_path: Path) -> None:
    argv = argv_of(tmp_path, CHECKS)
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
