"""Whether the guest's DHCP client still runs, or was started anew (spec DAEMON 6.7).

While all is well a look costs one read per process of the client, never a walk through /proc.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from waagent.core.system import System
from waagent.guest import dhcp
from waagent.guest.processes import find_begin
from waagent.guest.profile import DhcpClient

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 600.0  # a walk through /proc costs more the more processes there are
FIRST_PAUSE_S = 30.0

Lives = Mapping[int, int]
"""Process ids with the moment at which each began: a number may come back as another process."""


class DhcpWatch:
    """Remembers who the client was."""

    def __init__(self, system: System, client: DhcpClient) -> None:
        self._system = system
        self._client = client
        self._known: Lives = {}
        self._was_missed = False
        self._pause_s = FIRST_PAUSE_S
        self._not_before = 0.0

    def look(self) -> None:
        """Say once that the client is gone, and that it was started anew."""
        if self._known and self._is_alive():
            return
        if self._system.clock.monotonic() < self._not_before:
            return
        found = self._find()
        if not found:
            self._miss()
            return
        if self._known:
            # The words are what tools look for; this process has no routes that it could restore.
            log.info("EnvMonitor: Detected dhcp client restart. Restoring routing table.")
        self._known = found
        self._was_missed = False
        self._pause_s, self._not_before = FIRST_PAUSE_S, 0.0

    def _is_alive(self) -> bool:
        return all(find_begin(self._system, pid) == begin for pid, begin in self._known.items())

    def _find(self) -> Lives:
        pids = dhcp.find_pids(self._system, self._client)
        begins = {pid: find_begin(self._system, pid) for pid in pids}
        return {pid: begin for pid, begin in begins.items() if begin is not None}

    def _miss(self) -> None:
        if not self._was_missed:
            log.warning("Dhcp client is not running.")
            self._was_missed = True
        self._not_before = self._system.clock.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
