"""A name is set, then the watch looks: only on a machine that is thrown away.

Started by ``test_hostname_real``; what it found goes to standard output as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from waagent.core.clock import Stop
from waagent.core.conf import Conf
from waagent.core.context import Context
from waagent.core.events import Events
from waagent.core.paths import make_paths
from waagent.core.system import KERNEL_HOSTNAME, real_system
from waagent.environment.hostname_watch import HostnameWatch
from waagent.guest import hostname
from waagent.guest.profiles import DEBIAN

NAME = "vm-7"


def main() -> int:
    """Name the machine as provisioning does, and see what the watch makes of it."""
    if not Path("/waagent-throwaway").exists():
        print("this must only run inside test_hostname_real", file=sys.stderr)
        return 1
    system = real_system({"PATH": "/nowhere"})
    conf = Conf()
    paths = make_paths(system, conf)
    paths.lib.mkdir(parents=True, exist_ok=True)
    context = Context(system, conf, paths, Events(paths.events, system.clock), Stop())
    before = hostname.read_hostname(system)
    hostname.set_hostname(system, DEBIAN, NAME)
    hostname.publish_hostname(system, NAME, record=paths.published_hostname)
    HostnameWatch(context, DEBIAN, period_s=30).look()
    found = {
        "/proc/sys is read-only": _is_read_only(KERNEL_HOSTNAME),
        "kernel before": before,
        "kernel": os.uname().nodename,
        "/etc/hostname": Path("/etc/hostname").read_text(encoding="utf-8"),
        "record": paths.published_hostname.read_text(encoding="utf-8"),
    }
    print(json.dumps(found))
    return 0


def _is_read_only(path: str) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


if __name__ == "__main__":
    sys.exit(main())
