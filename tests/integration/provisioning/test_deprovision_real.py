"""Deprovision with the real programs of this machine, on a copy of it that is thrown away.

The checks are ``deprovision_inside*.py``. They run in namespaces of their own (mounts, host name,
network, processes) on an overlay whose upper layer is memory: nothing of this machine changes.
The first process there stays a shell, which takes leave of orphans as an init does.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
CHECKS = tuple(f"deprovision_inside{part}.py" for part in ("", "_accounts", "_terminal", "_faults"))
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
chroot . /bin/sh -c {command} || exit $?
exit 0
"""


@pytest.mark.root
@pytest.mark.parametrize("checks", CHECKS)
def test_deprovision_works_with_the_real_programs(tmp_path: Path, checks: str) -> None:
    inner = (
        f"cd {shlex.quote(str(PROJECT))} && exec {shlex.quote(sys.executable)} -m pytest -q"
        f" -p no:cacheprovider -p no:xdist --basetemp=/run/pytest --durations=12"
        f" tests/integration/provisioning/{checks}"
    )
    script = SANDBOX.format(place=shlex.quote(str(tmp_path)), command=shlex.quote(inner))
    argv = ["unshare", "-m", "-u", "-n", "-p", "--fork", "--kill-child", "/bin/sh", "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
