"""What the agent tells on standard output at once: its version and its usage (spec CLI 1.5)."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Optional

from waagent.cli.arguments import USAGE

if TYPE_CHECKING:
    from waagent.core.rooted import Rooted


def render_version(system: Rooted) -> str:
    """Three lines; scripts read the first and the third."""
    from waagent.core.version import AGENT_NAME, AGENT_VERSION
    from waagent.guest.release import read_release

    release = read_release(system)
    python = "{}.{}.{}".format(*sys.version_info[:3])
    return (
        f"{AGENT_NAME}-{AGENT_VERSION} running on {release.name} {release.version}\n"
        f"Python: {python}\n"
        f"Goal state agent: {find_running_version(system) or AGENT_VERSION}\n"
    )


def render_usage(program: str) -> str:
    """One line between two blank ones."""
    return f"\n{USAGE.format(argv0=program)}\n\n"


def find_running_version(system: Rooted) -> Optional[str]:
    """The version of an updated agent that runs as ext-handler; ``None`` if none does."""
    from waagent.core import files
    from waagent.core.version import AGENT_NAME

    running = re.compile(rf".*/{AGENT_NAME}-(\d+(?:\.\d+)+).*-run-exthandlers", re.DOTALL)
    for process in system.path("/proc").glob("[0-9]*"):
        command = (files.read_if_there(process / "cmdline") or "").replace("\0", " ")
        match = running.match(command)
        if match:
            return match.group(1)
    return None
