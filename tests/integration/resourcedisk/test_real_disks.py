"""The resource disk on real loop devices, with the real programs of this machine.

The checks are in ``inside.py``. They run in a mount namespace of their own, on an overlay whose
upper layer is memory; only the loop devices and the swap file are the kernel's, and both go again.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
INSIDE = "tests/integration/resourcedisk/inside.py"
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
mount -t tmpfs tmpfs sys/bus
touch waagent-throwaway
exec chroot . /bin/sh -c {command}
"""


@pytest.mark.root
def test_resource_disk_works_with_real_disks(tmp_path: Path) -> None:
    inner = (
        f"cd {shlex.quote(str(PROJECT))} && exec {shlex.quote(sys.executable)} -m pytest -q"
        f" -p no:cacheprovider -p no:xdist --basetemp=/run/pytest {INSIDE}"
    )
    script = SANDBOX.format(place=shlex.quote(str(tmp_path)), command=shlex.quote(inner))
    argv = ["unshare", "-m", "/bin/sh", "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
