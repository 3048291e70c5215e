"""What there is to do for a goal state: all of it once; what failed for want of something, later.

How that is done is the extensions' own business. Source: spec EXT 1.4, 2.2.
"""

from __future__ import annotations

import logging
from typing import Callable, Optional

from waagent.core.context import Context
from waagent.core.errors import AgentError, CommandTimedOut, describe
from waagent.core.events import Op
from waagent.core.room import Room
from waagent.extensions.reconcile import Extensions
from waagent.protocol.documents.extensions import ExtensionsGoalState
from waagent.protocol.documents.status import FEATURES, GoalStateStatus
from waagent.protocol.store import Snapshot

log = logging.getLogger(__name__)

UNSUPPORTED_FEATURE = 2001
UNKNOWN_FAILURE = -1

Report = Callable[[], None]


class Processing:
    """Remembers which goal state was carried out, how that went, and what it lacked."""

    def __init__(self, context: Context, extensions: Extensions) -> None:
        self._context = context
        self._extensions = extensions
        self._done: Optional[str] = None
        self._has_awaited_cloud_init = False
        self._room = Room(context.paths.lib, context.system.clock)
        self.outcome: Optional[GoalStateStatus] = None

    def is_new(self, goal: ExtensionsGoalState) -> bool:
        """Whether it was not carried out yet, and is to be (WIRE 3.8)."""
        return goal.identity != self._done and not goal.is_outdated

    def can_go_on(self, snapshot: Snapshot) -> bool:
        """Whether what failed for want of room or of a certificate may succeed by now."""
        if snapshot.extensions.identity != self._done:
            return False
        if self._extensions.lacks_room and self._room.may_have_come:
            return True
        missing = {each.thumbprint for each in snapshot.missing_certificates()}
        return bool(self._extensions.lacked_certificates - missing)

    def carry_out(self, snapshot: Snapshot, report: Report) -> None:
        """Do all of it, or what is left of it; ``report`` is called now and then meanwhile.

        Told to stop it returns early, and the next start does all of it again.
        """
        goal = snapshot.extensions
        outcome = self._process(snapshot, report)
        if self._context.stop.is_set():
            return
        if self._extensions.lacks_room:
            self._room.refused()
        else:
            self._room.accepted()
        self.outcome, self._done = outcome, goal.identity

    def await_cloud_init(self) -> None:
        """Once in a process, where that is configured; whatever comes of it (EXT 1.4)."""
        conf = self._context.conf.extensions
        if self._has_awaited_cloud_init or not conf.wait_for_cloud_init:
            return
        self._has_awaited_cloud_init = True
        limit_s = float(conf.wait_for_cloud_init_timeout_s)
        log.info("Waiting for cloud-init to complete...")
        try:
            with self._context.doing("wait for cloud-init", limit_s=limit_s):
                result = self._context.system.run(
                    "cloud-init", "status", "--wait", timeout_s=limit_s
                )
        except CommandTimedOut as error:
            self._context.events.add(Op.CLOUD_INIT, describe(error), success=False)
            return
        if result.ok:
            text = f"cloud-init completed\n{result.output}"
            log.info("%s", text)
            self._context.events.add(Op.CLOUD_INIT, text)
        else:
            text = f"cloud-init did not complete: {result.code} {result.output}"
            self._context.events.add(Op.CLOUD_INIT, text, success=False)

    def _process(self, snapshot: Snapshot, report: Report) -> Optional[GoalStateStatus]:
        """Carry the goal state out and say how that went as a whole (EXT 2.2).

        A goal state on hold leaves the outcome of the one before.
        """
        clock, events, goal = self._context.system.clock, self._context.events, snapshot.extensions
        if goal.on_hold and self._context.conf.extensions.obeys_on_hold:
            text = "Extension handling is on hold"
            log.info("%s", text)
            events.add(Op.EXTENSION_PROCESSING, text)
            return self.outcome
        text = (
            f"ProcessExtensionsGoalState started [{goal.id} channel: {goal.channel.value}"
            f" source: {goal.source.value} activity: {goal.activity_id}"
            f" correlation {goal.correlation_id} created: {goal.created_on}]"
        )
        log.info("%s", text)
        events.add(Op.EXTENSION_PROCESSING, text)
        start = clock.monotonic()
        outcome = self._execute(snapshot, report)
        took_ms = int((clock.monotonic() - start) * 1000)
        is_done = outcome.code != UNKNOWN_FAILURE
        if is_done:
            text = f"ProcessExtensionsGoalState completed [{goal.id} {took_ms} ms]"
            log.info("%s", text)
        else:
            text = f"ProcessExtensionsGoalState failed [{goal.id} {took_ms} ms]\n{outcome.message}"
            log.error("%s", text)
        events.add(
            Op.EXTENSION_PROCESSING,
            text,
            success=is_done,
            duration_ms=took_ms,
            quiet=True,
        )
        return outcome

    def _execute(self, snapshot: Snapshot, report: Report) -> GoalStateStatus:
        goal = snapshot.extensions
        unsupported = [name for name in goal.required_features if name not in FEATURES]
        if unsupported:
            text = f"Failing GS {goal.id} as Unsupported features found: {', '.join(unsupported)}"
            self._context.events.add(Op.GOAL_STATE_UNSUPPORTED_FEATURES, text, success=False)
            return self._outcome_of(goal, text, code=UNSUPPORTED_FEATURE)
        missing = frozenset(each.thumbprint for each in snapshot.missing_certificates())
        try:
            self._extensions.process(goal, report, missing=missing)
        except (AgentError, OSError) as error:  # of one handler it is kept from the next already
            text = f"Unexpected error when processing goal state: {describe(error)}"
            return self._outcome_of(goal, text, code=UNKNOWN_FAILURE)
        return self._outcome_of(goal, "GoalState executed successfully")

    def _outcome_of(
        self, goal: ExtensionsGoalState, message: str, *, code: int = 0
    ) -> GoalStateStatus:
        return GoalStateStatus(
            message=message,
            processed=self._context.system.clock.now(),
            sequence=goal.svd_seq_no,
            status="Failed" if code else "Success",
            code=code,
        )
