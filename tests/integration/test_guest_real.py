"""The guest floor with the real programs of this machine, on a copy of it that is thrown away.

The checks are ``guest_floor/inside*.py``. They run in namespaces of their own (mounts, host name,
network, processes) on an overlay whose upper layer is memory: nothing of this machine changes.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
CHECKS = "tests/integration/guest_floor"
INSIDE = ("inside_accounts.py", "inside_ssh.py", "inside.py")
SANDBOX = """
set -e
mount -t tmpfs tmpfs {place}
mkdir {place}/upper {place}/work {place}/root
mount -t overlay overlay -o lowerdir=/,upperdir={place}/upper,workdir={place}/work {place}/root
cd {place}/root
mount --rbind /dev dev
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs tmpfs run
touch waagent-throwaway
ip link set lo up
exec chroot . /bin/sh -c {command}
"""


@pytest.mark.root
def test_guest_floor_works_with_the_real_programs(tmp_path: Path) -> None:
    files = " ".join(f"{CHECKS}/{name}" for name in INSIDE)
    inner = (
        f"cd {shlex.quote(str(PROJECT))} && exec {shlex.quote(sys.executable)} -m pytest -q"
        f" -p no:cacheprovider -p no:xdist --basetemp=/run/pytest {files}"
    )
    script = SANDBOX.format(place=shlex.quote(str(tmp_path)), command=shlex.quote(inner))
    argv = ["unshare", "-m", "-u", "-n", "-p", "--fork", "--kill-child", "/bin/sh", "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
