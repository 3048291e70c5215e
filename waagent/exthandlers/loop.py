"""One turn of the child: refresh the goal state, bring extensions there, report.

Source: spec EXT 1.2 to 1.4, 2.2; WIRE 3.8.
"""

from __future__ import annotations

import logging
from typing import Optional

from waagent.core.context import Context
from waagent.core.errors import AgentError, describe
from waagent.core.events import Op
from waagent.core.records import dataclass
from waagent.extensions.reconcile import Extensions
from waagent.exthandlers.convergence import Convergence
from waagent.exthandlers.report import Report
from waagent.protocol.documents.extensions import ExtensionsGoalState, GoalStateSource
from waagent.protocol.documents.status import FEATURES, GoalStateStatus
from waagent.protocol.store import Snapshot, Store
from waagent.remoteaccess.users import RemoteUsers

log = logging.getLogger(__name__)

DISABLED_PERIOD_S = 300.0
UNSUPPORTED_FEATURE = 2001
LOUD_FAILURES = 3
QUIET_S = 6 * 3600.0
REFRESH_TRIES = 3


@dataclass(frozen=True)
class Parts:
    """What a turn works with."""

    store: Store
    extensions: Extensions
    report: Report
    convergence: Convergence
    remote_users: RemoteUsers


class Loop:
    """Remembers which goal state was processed, and how fetching goes."""

    def __init__(self, context: Context, parts: Parts) -> None:
        self._context = context
        self._parts = parts
        self._processed_id: Optional[str] = None
        self._outcome: Optional[GoalStateStatus] = None
        self._failures = 0
        self._quiet_until = 0.0
        self.failures_since_heartbeat = 0

    def await_first_goal_state(self) -> bool:
        """Try until there is a goal state; ``False`` when told to stop before."""
        text = "Initializing the goal state..."
        log.info("%s", text)
        self._context.events.add(Op.GOAL_STATE, text)
        while not self._try_refresh():
            period_s = self._context.conf.extensions.goal_state_period_s
            if self._context.system.clock.wait(self._context.stop, period_s):
                return False
        log.info("Goal state initialization completed.")
        return True

    def turn(self) -> None:
        """Refresh, process what is new, report; a failed refresh still reports.

        Just-in-time users come before extensions: they may be wanted to see why one of those hangs.
        """
        is_refreshed = self._try_refresh()
        self._parts.remote_users.apply(self._parts.store.current().remote_access)
        if is_refreshed:
            goal = self._parts.store.current().extensions
            is_new = goal.id != self._processed_id and not goal.is_outdated
            if is_new:
                self._parts.convergence.begin()
                outcome = self._process(goal)
                if self._context.stop.is_set():
                    return  # perhaps half done: the next start does and reports all of it
                self._outcome, self._processed_id = outcome, goal.id
            self._report()
            if is_new:
                self._parts.store.archive()
        else:
            self._report()

    def period_s(self) -> float:
        """How long to wait until the next turn."""
        extensions = self._context.conf.extensions
        if not extensions.enabled:
            return DISABLED_PERIOD_S
        if self._parts.convergence.is_initial:
            return extensions.initial_goal_state_period_s
        return extensions.goal_state_period_s

    def _report(self) -> None:
        try:
            self._parts.report.upload(self._outcome)
        except (AgentError, OSError) as error:
            self._context.events.add(Op.REPORT_STATUS, describe(error), success=False)

    def _try_refresh(self) -> bool:
        """Refresh; a fast-track goal state whose certificates lag behind is asked for again."""
        try:
            snapshot = self._parts.store.refresh()
            for attempt in range(1, REFRESH_TRIES):
                if not self._awaits_certificates(snapshot):
                    break
                if attempt > 1 and self._context.system.clock.wait(
                    self._context.stop, self._context.conf.extensions.goal_state_period_s
                ):
                    break
                snapshot = self._parts.store.refresh(force=True)
        except (AgentError, OSError) as error:
            self._complain(error)
            return False
        if self._awaits_certificates(snapshot):
            log.warning(
                "Not all certificates that %s names came with it; going on without them",
                snapshot.extensions.id,
            )
        self._tell_of_recovery(snapshot)
        return True

    def _awaits_certificates(self, snapshot: Snapshot) -> bool:
        extensions = snapshot.extensions
        is_fast = extensions.source is GoalStateSource.FAST_TRACK
        is_new = extensions.id != self._processed_id
        return is_fast and is_new and snapshot.lacks_certificates

    def _tell_of_recovery(self, snapshot: Snapshot) -> None:
        if self._failures:
            certificates = ", ".join(each.as_python() for each in snapshot.certificates)
            text = (
                f"Fetching the goal state recovered: {snapshot.extensions.id}"
                f" (certificates: [{certificates}])"
            )
            log.info("%s", text)
            self._context.events.add(Op.FETCH_GOAL_STATE, text)
        self._failures, self._quiet_until = 0, 0.0

    def _complain(self, error: Exception) -> None:
        """The first three failures in full, then one in six hours (EXT 1.3)."""
        self._failures += 1
        self.failures_since_heartbeat += 1
        now = self._context.system.clock.monotonic()
        if self._failures > LOUD_FAILURES and now < self._quiet_until:
            return
        if self._failures > LOUD_FAILURES:
            self._quiet_until = now + QUIET_S
            text = f"Fetching the goal state is still failing: {describe(error)}"
        else:
            text = f"Error fetching the goal state: {describe(error)}"
        log.error("%s", text)
        self._context.events.add(Op.FETCH_GOAL_STATE, text, success=False, quiet=True)

    def _process(self, goal: ExtensionsGoalState) -> Optional[GoalStateStatus]:
        """Carry the goal state out and say how that went as a whole (EXT 2.2).

        A goal state on hold leaves the outcome of the one before.
        """
        clock, events = self._context.system.clock, self._context.events
        if goal.on_hold and self._context.conf.extensions.obeys_on_hold:
            text = "Extension handling is on hold"
            log.info("%s", text)
            events.add(Op.EXTENSION_PROCESSING, text)
            return self._outcome
        text = (
            f"ProcessExtensionsGoalState started [{goal.id} channel: {goal.channel.value}"
            f" source: {goal.source.value} activity: {goal.activity_id}"
            f" correlation {goal.correlation_id} created: {goal.created_on}]"
        )
        log.info("%s", text)
        events.add(Op.EXTENSION_PROCESSING, text)
        start = clock.monotonic()
        unsupported = [name for name in goal.required_features if name not in FEATURES]
        if unsupported:
            text = f"Failing GS {goal.id} as Unsupported features found: {', '.join(unsupported)}"
            events.add(Op.GOAL_STATE_UNSUPPORTED_FEATURES, text, success=False)
            outcome = self._outcome_of(goal, text, code=UNSUPPORTED_FEATURE)
        else:
            self._parts.extensions.process(goal)
            outcome = self._outcome_of(goal, "GoalState executed successfully")
        took_ms = int((clock.monotonic() - start) * 1000)
        text = f"ProcessExtensionsGoalState completed [{goal.id} {took_ms} ms]"
        log.info("%s", text)
        events.add(Op.EXTENSION_PROCESSING, text, duration_ms=took_ms)
        return outcome

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
