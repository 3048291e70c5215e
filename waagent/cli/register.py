"""``-register-service``: have the agent started at each boot, and start it anew now (CLI 1.5)."""

from __future__ import annotations

import sys

from waagent.core.errors import AgentError
from waagent.core.system import System
from waagent.guest import services


def run(system: System, service: str) -> int:
    """Register, stop and start the service; an ``AgentError`` if it will not be there.

    Where no init system runs, in an image that is being built, there is nothing to start.
    """
    _say("Register WALinuxAgent service")
    is_registered = services.register(system, service)
    is_init_there = services.init_of(system) is not services.Init.NONE
    _say("Stop WALinuxAgent service")
    if is_init_there:
        services.stop(system, service)
    _say("Start WALinuxAgent service")
    is_started = not is_init_there or services.start(system, service)
    if not is_registered:
        raise AgentError(
            f"cannot register the service {service}: the service manager did not take it; is its"
            " unit or init script installed, and are you root?"
        )
    if not is_started:
        raise AgentError(f"cannot start the service {service}; the service manager says why")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
