"""Hear that the host name was changed, and have it kept and published (spec DAEMON 7.4).

How a name is set and published is not here, but in ``guest.hostname``.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Optional

from waagent.core import sysctl
from waagent.core.clock import Clock
from waagent.core.context import Context
from waagent.core.errors import AgentError, GuestError, describe
from waagent.core.events import Op
from waagent.core.log import Quietly
from waagent.core.sysctl import ValueBell
from waagent.core.system import KERNEL_HOSTNAME
from waagent.guest import hostname
from waagent.guest.profile import Profile

log = logging.getLogger(__name__)

SETTLE_S = 0.5  # a name that is set twice at once is published once
CALM_S = 5.0  # a name that comes and goes is looked at again when its period is over
LONGEST_PAUSE_S = 3600.0
TELL_AGAIN_S = 3600.0


def find_bell(context: Context) -> Optional[ValueBell]:
    """What the kernel rings when the name is changed, if this kernel does."""
    return sysctl.find_bell(context.system.path(KERNEL_HOSTNAME))


class HostnameWatch:
    """Remembers the name that was published last.

    The kernel's name at the start is a change that happened while no agent ran if it is another
    than that; except where the published name stands in /etc/hostname and the kernel does not take
    it: then it is what the kernel was left with, until it has yet another.
    One that cannot be published is tried again after pauses that grow: the reference forgot it.
    """

    def __init__(self, context: Context, profile: Profile, *, period_s: float) -> None:
        self._context = context
        self._profile = profile
        self._published: Optional[str] = None
        self._left_with = ""
        self._noticed = ""
        self._retry = _Pauses(context.system.clock, period_s)
        self._quietly = Quietly(context.system.clock, TELL_AGAIN_S)

    def look(self) -> None:
        """Publish the kernel's name if it is another than the last."""
        if self._published is None:
            self._published = self._read_record()
            self._left_with = self._find_name_left_with(self._published)
        name = hostname.read_hostname(self._context.system)
        if not name or name in (self._published, self._left_with):
            self._noticed = ""
            return
        if name != self._noticed:
            if not self._retry.are_calm():
                return
            log.info("EnvMonitor: Detected hostname change: %s -> %s", self._published, name)
            self._noticed = name
        elif not self._retry.are_over():
            return
        self._publish(name)

    def _read_record(self) -> str:
        try:
            return hostname.read_published_hostname(self._context.system, record=self._record)
        except OSError as error:
            reason = f'cannot make "{self._record}": {error.strerror}'
            raise GuestError(reason) from error

    def _find_name_left_with(self, published: str) -> str:
        system = self._context.system
        if not hostname.kernel_takes_not(system, published):
            return ""
        name = hostname.read_hostname(system)
        log.info("The kernel does not take the host name %s, it keeps %s", published, name)
        return name

    def _publish(self, name: str) -> None:
        try:
            hostname.set_hostname(self._context.system, self._profile, name)
            hostname.publish_hostname(self._context.system, name, record=self._record)
        except (AgentError, OSError) as error:
            pause_s = self._retry.lengthen()
            self._tell(f"Error while publishing the hostname: {describe(error)}", pause_s)
            return
        self._published, self._left_with, self._noticed = name, "", ""
        self._retry.end()

    def _tell(self, text: str, pause_s: float) -> None:
        if self._quietly.may_say(self._noticed):  # the error may name another file each time
            log.warning("%s; next attempt in %g s at the earliest", text, pause_s)
            self._context.events.add(Op.HOSTNAME_PUBLISHING, text, success=False, quiet=True)

    @property
    def _record(self) -> Path:
        return self._context.paths.published_hostname


class _Pauses:
    """When the next attempt may be: after a failure ever later, after any a little later."""

    def __init__(self, clock: Clock, first_s: float) -> None:
        self._clock = clock
        self._first_s = first_s
        self._pause_s = 0.0
        self._last = float("-inf")

    def are_over(self) -> bool:
        """Whether what failed may be tried again."""
        return self._clock.monotonic() >= self._last + self._pause_s

    def are_calm(self) -> bool:
        """Whether something new may be tried."""
        return self._clock.monotonic() >= self._last + CALM_S

    def lengthen(self) -> float:
        """It failed now; how long is the pause."""
        self._last = self._clock.monotonic()
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S) or self._first_s
        return self._pause_s

    def end(self) -> None:
        """It was done now."""
        self._last, self._pause_s = self._clock.monotonic(), 0.0
