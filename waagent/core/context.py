"""What every room is given: the system, its configuration and paths, and the agent's voice."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Optional

from waagent.core.activity import Activity
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
    activity: Activity = field(default_factory=Activity, compare=False)

    def doing(
        self, what: str, *, limit_s: Optional[float] = None
    ) -> contextlib.AbstractContextManager[None]:
        """While the block runs, that is what ``-show-goal-state`` says of this process."""
        return self.activity.doing(self.system.clock, what, limit_s)
