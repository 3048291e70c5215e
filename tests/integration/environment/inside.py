"""The thread itself, real programs and a real kernel's name: only on a machine that is thrown away.

Started by ``test_hostname_real``; what it found goes to standard output as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

from waagent.core.clock import Stop
from waagent.core.conf import load
from waagent.core.context import Context
from waagent.core.events import Events
from waagent.core.paths import make_paths
from waagent.core.system import real_system
from waagent.environment.thread import make_environment
from waagent.guest.profiles import DEBIAN

LIB = "/run/waagent-lib"
CONF = f"""Lib.Dir={LIB}
Provisioning.MonitorHostName=y
Provisioning.MonitorHostNamePeriod=3600
OS.RootDeviceScsiTimeout=None
"""
LONG_S = 30.0


def comes_true(what: Callable[[], bool]) -> bool:
    """Whether it is so before long."""
    clock, end = real_system().clock, time.monotonic() + LONG_S
    while time.monotonic() < end:
        if what():
            return True
        clock.wait(None, 0.01)
    return False


def main() -> int:
    """Rename the machine and see what the thread makes of it."""
    if not Path("/waagent-throwaway").exists():
        print("this must only run inside test_hostname_real", file=sys.stderr)
        return 1
    system = real_system()
    conf = load(CONF.encode(), "waagent.conf").conf
    paths = make_paths(system, conf)
    paths.lib.mkdir(mode=0o700)
    context = Context(system, conf, paths, Events(paths.events, system.clock), Stop())
    worker = make_environment(context, DEBIAN)
    record = paths.published_hostname
    subprocess.run(["hostname", "first-name"], check=True)
    worker.start()
    found: dict[str, object] = {"record is made": comes_true(record.is_file)}
    subprocess.run(["unshare", "-u", "hostname", "foreign-name"], check=True)
    began = time.monotonic()
    subprocess.run(["hostname", "second-name"], check=True)
    found["new name is recorded"] = comes_true(lambda: record.read_text() == "second-name")
    found["seconds"] = round(time.monotonic() - began, 2)
    found["/etc/hostname"] = Path("/etc/hostname").read_text(encoding="utf-8")
    worker.tell_to_stop()
    found["thread ends"] = worker.join(LONG_S)
    found["events"] = len(list(paths.events.glob("*"))) if paths.events.is_dir() else 0
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
