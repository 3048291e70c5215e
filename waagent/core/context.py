"""What every room is given: the system, its configuration and paths, and the agent's voice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from waagent.core.clock import Stop
from waagent.core.conf import Conf
from waagent.core.events import Events
from waagent.core.http import Address, Transport
from waagent.core.paths import Paths
from waagent.core.system import System


@dataclass(frozen=True)
class Context:
    """Built once per process by its main; a test builds its own around a folder."""

    system: System
    conf: Conf
    paths: Paths
    events: Events
    stop: Stop
    addresses: Mapping[str, Address] = field(default_factory=dict)


__all__ = ["Context", "Transport"]
