"""Whether all extensions have come to an end with the goal state (spec EXT 1.8)."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable

from waagent.core import files
from waagent.core.errors import describe
from waagent.core.events import Events, Op
from waagent.core.paths import Paths
from waagent.protocol.documents.status import HandlerStatus

log = logging.getLogger(__name__)

TERMINAL = frozenset({"success", "error", "Ready", "NotReady"})


class Convergence:
    """The summary of names and statuses; tells when it changes and when it is final."""

    def __init__(self, paths: Paths, events: Events) -> None:
        self._paths = paths
        self._events = events
        self._summary: tuple[tuple[str, str], ...] = ()
        self._is_converged = True
        self._is_marked = os.path.lexists(paths.initial_goal_state)
        self.is_initial = not self._is_marked  # the first goal state has not converged yet

    def begin(self) -> None:
        """A new goal state is about to be processed."""
        if not self._is_converged:
            text = (
                "A new goal state was received, but not all the extensions in the previous goal"
                f" state have completed: {list(self._summary)}"
            )
            log.warning("%s", text)
            self._events.add(Op.GOAL_STATE, text, success=False, quiet=True)
            self._end_initial()
        self._summary, self._is_converged = (), True

    def update(self, handlers: Iterable[HandlerStatus]) -> None:
        """Take in what was reported; say it when it changed."""
        summary = tuple(sorted(_name_and_status(each) for each in handlers))
        converged = all(status in TERMINAL for _, status in summary)
        if summary != self._summary:
            text = f"Extension status: {list(summary)}"
            log.info("%s", text)
            self._events.add(Op.GOAL_STATE, text)
            if converged:
                text = (
                    "All extensions in the goal state have reached a terminal state:"
                    f" {list(summary)}"
                )
                log.info("%s", text)
                self._events.add(Op.GOAL_STATE, text)
        self._summary, self._is_converged = summary, converged
        if converged:
            self._end_initial()

    def _end_initial(self) -> None:
        """Told to later processes by a file; one that cannot be written stops nothing."""
        is_first, self.is_initial = self.is_initial, False
        if self._is_marked:
            return
        try:
            files.write(self._paths.initial_goal_state, f"{list(self._summary)}")
            self._is_marked = True
        except OSError as error:  # tried again with the next report
            if is_first:
                log.warning("Cannot write %s: %s", self._paths.initial_goal_state, describe(error))


def _name_and_status(handler: HandlerStatus) -> tuple[str, str]:
    extension = handler.extension
    if extension is not None and extension.status:
        return extension.name, extension.status
    return handler.name, handler.status
