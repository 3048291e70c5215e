"""``-show-configuration``: what is in effect, on standard output; no file is written, no log."""

from __future__ import annotations

import sys

from waagent.cli.arguments import Options
from waagent.cli.configuration import show_configuration
from waagent.core.conf import read_conf
from waagent.core.errors import AgentError, describe
from waagent.core.rooted import this_machine
from waagent.guest.profiles import read_profile
from waagent.guest.release import read_release


def run(options: Options) -> int:
    """Show the configuration, or say on standard error why that cannot be; the exit code."""
    machine = this_machine()
    name = options.conf_path or read_profile(machine, read_release(machine)).conf_path
    try:
        conf = read_conf(machine.path(name), name).conf
    except (AgentError, OSError) as error:
        sys.stderr.write(f"Failed to run '{options.command.value}': {describe(error)}\n")
        return 1
    sys.stdout.write(show_configuration(conf))
    return 0
