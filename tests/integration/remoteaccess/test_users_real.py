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


@pytest.mark.root
def test_just_in_time_users_come_and_go_with_the_real_programs(tmp_path: Path) -> None:
    inner = (
        f"cd {shlex.quote(str(PROJECT))} && exec {shlex.quote(sys.executable)} -m pytest -q"
        f" -p no:cacheprovider -p no:xdist --basetemp=/run/pytest {CHECKS}"
    )
    script = SANDBOX.format(place=shlex.quote(str(tmp_path)), command=shlex.quote(inner))
    argv = ["unshare", "-m", "-u", "-n", "-p", "--fork", "--kill-child", "/bin/sh", "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
