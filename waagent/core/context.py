"""What every room is given: the system, its configuration and paths, and the agent's voice."""

from __future__ import annotations

from collections.abc import Mapping

from waagent.core.clock import Stop
from waagent.core.conf import Conf
from waagent.core.events import Events
from waagent.core.paths import Paths
from waagent.core.records import dataclass, field
from waagent.core.system import System

Address = tuple[str, int]


@dataclass(frozen=True)
class Context:
    """Built once per process by its main; a test builds its own around a folder.

    ``addresses`` is the address book: where a ``host:port`` really is. It is empty on a VM.
    """

    system: System
    conf: Conf
    paths: Paths
    events: Events
    stop: Stop
    addresses: Mapping[str, Address] = field(default_factory=dict)
