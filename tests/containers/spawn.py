"""How systemd-nspawn is started: in a view of this machine of its own, whatever that has mounted.

In that view cgroups are of version 2 only, which every systemd takes, and /run is empty. The view
goes with the container; of the control group only empty folders are left, which are removed.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import uuid

# The init of a container outlives a killed nspawn, but no namespace of processes that ends.
ALONE = (
    *("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"),
    *("--pid", "--fork", "--kill-child", "--mount-proc"),
)
NSPAWN = (
    *("systemd-nspawn", "-q", "--register=no", "--keep-unit", "--pipe", "--link-journal=no"),
    *("--timezone=off",),
)
VARIABLES = ("--setenv=DEBIAN_FRONTEND=noninteractive", "--setenv=LC_ALL=C.UTF-8")

# $1 is the name of a control group; what follows is run in it.
VIEW = r"""
set -eu
[ -d /sys/fs/cgroup ] || mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$1"
echo $$ >"/sys/fs/cgroup/$1/cgroup.procs"
mount -t tmpfs -o mode=0755 tmpfs /run
shift
"""
LEAVE = r"""
[ -d /sys/fs/cgroup ] || mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
tries=50
while [ -d "/sys/fs/cgroup/$1" ] && [ $tries -gt 0 ]; do
  find "/sys/fs/cgroup/$1" -depth -type d -exec rmdir {} + 2>/dev/null && exit
  tries=$((tries - 1))
  sleep 0.1
done
"""


class Group:
    """A control group for one container, below the root of this machine's."""

    def __init__(self) -> None:
        self._name = f"waagent-{uuid.uuid4().hex[:12]}"

    def command(self, script: str, *words: str) -> list[str]:
        """What runs a shell script in the view and in this group, with words as its arguments."""
        return [*ALONE, "/bin/sh", "-c", VIEW + script, "view", self._name, *words]

    def remove(self) -> None:
        """Remove the group once what was in it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [*ALONE, "/bin/sh", "-c", LEAVE, "leave", self._name],
                stdin=subprocess.DEVNULL,
                env=os.environ,
                timeout=30.0,
                check=False,
            )
