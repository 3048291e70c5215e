"""What the agent tells on standard output: its version, its usage, its configuration.

Source: spec CLI 1.5.
"""

from __future__ import annotations

import re
import sys
from typing import Optional

from waagent.cli.arguments import USAGE
from waagent.core import files
from waagent.core.system import System
from waagent.core.version import AGENT_NAME, AGENT_VERSION
from waagent.guest.release import read_release

_RUNNING = re.compile(rf".*/{AGENT_NAME}-(\d+(?:\.\d+)+).*-run-exthandlers", re.DOTALL)


def show_version(system: System) -> None:
    """Three lines; scripts read the first and the third."""
    release = read_release(system)
    print(f"{AGENT_NAME}-{AGENT_VERSION} running on {release.name} {release.version}")
    print("Python: {}.{}.{}".format(*sys.version_info[:3]))
    print(f"Goal state agent: {find_running_version(system) or AGENT_VERSION}")


def show_usage(program: str) -> None:
    """One line between two blank ones."""
    print(f"\n{USAGE.format(argv0=program)}\n")


def find_running_version(system: System) -> Optional[str]:
    """The version of an updated agent that runs as ext-handler; ``None`` if none does."""
    for process in system.path("/proc").glob("[0-9]*"):
        command = (files.read_if_there(process / "cmdline") or "").replace("\0", " ")
        match = _RUNNING.match(command)
        if match:
            return match.group(1)
    return None
