"""One turn of the child: refresh the goal state, bring extensions there, report.

Source: spec EXT 1.2 to 1.4, 2.2; WIRE 3.8.
"""

from __future__ import annotations

import logging
from typing import Callable

from waagent.core.context import Context
from waagent.core.errors import AgentError, describe
from waagent.core.events import Op
from waagent.core.records import dataclass
from waagent.extensions.reconcile import Extensions
from waagent.exthandlers.convergence import Convergence
from waagent.exthandlers.keeper import Keeper
from waagent.exthandlers.old_keys import OldKeys
from waagent.exthandlers.processing import Processing
from waagent.exthandlers.report import Report
from waagent.protocol.documents.extensions import GoalStateSource
from waagent.protocol.store import Snapshot, Store
from waagent.remoteaccess.users import RemoteUsers

log = logging.getLogger(__name__)

DISABLED_PERIOD_S = 300.0
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
    keeper: Keeper


class Loop:
    """Remembers which goal state was processed, and how fetching goes."""

    def __init__(self, context: Context, parts: Parts) -> None:
        self._context = context
        self._parts = parts
        self._processing = Processing(context, parts.extensions)
        self._old_keys = OldKeys(context)
        self._failures = 0
        self._quiet_until = 0.0
        self.failures_since_heartbeat = 0

    def await_first_goal_state(self, is_abandoned: Callable[[], bool] = lambda: False) -> bool:
        """Try until there is a goal state; ``False`` when told to stop before, or abandoned."""
        text = "Initializing the goal state..."
        log.info("%s", text)
        self._context.events.add(Op.GOAL_STATE, text)
        while not self._try_refresh():
            period_s = self._context.conf.extensions.goal_state_period_s
            self._parts.keeper.rest(period_s)
            if self._context.system.clock.wait(self._context.stop, period_s) or is_abandoned():
                return False
        log.info("Goal state initialization completed.")
        return True

    def turn(self) -> None:
        """Do one turn, and say when the next comes."""
        self._do_turn()
        self._parts.keeper.rest(self.period_s())

    def _do_turn(self) -> None:
        """Refresh, process what is new, report; a failed refresh still reports.

        Just-in-time users come before extensions: they may be wanted to see why one of those hangs.
        """
        is_refreshed = self._try_refresh()
        self._parts.remote_users.apply(self._parts.store.current().remote_access)
        if is_refreshed:
            self._carry_out(self._parts.store.current())
        else:
            self._report()

    def _carry_out(self, snapshot: Snapshot) -> None:
        """Do what is new or can be done by now, and report it."""
        processing, goal = self._processing, snapshot.extensions
        processing.await_cloud_init()
        is_new = processing.is_new(goal)
        if is_new or processing.can_go_on(snapshot):
            if is_new:
                self._parts.convergence.begin()
            with self._context.doing(f"carry out goal state {goal.id}"):
                processing.carry_out(snapshot, self.report_meanwhile)
            if self._context.stop.is_set():
                return  # perhaps half done: the next start does and reports all of it
            self._parts.keeper.processed(processing.outcome)
        self._report()
        if is_new:
            self._parts.store.archive()
            self._old_keys.sweep(snapshot)

    def period_s(self) -> float:
        """How long to wait until the next turn."""
        extensions = self._context.conf.extensions
        if not extensions.enabled:
            return DISABLED_PERIOD_S
        if self._parts.convergence.is_initial:
            return extensions.initial_goal_state_period_s
        return extensions.goal_state_period_s

    def report_meanwhile(self) -> None:
        """Say how things are while something is waited for."""
        self._report(is_meanwhile=True)

    def _report(self, *, is_meanwhile: bool = False) -> None:
        if self._context.stop.is_set():
            return  # nothing is sent any more
        try:
            self._parts.report.upload(self._processing.outcome, is_meanwhile=is_meanwhile)
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
            else:
                if self._awaits_certificates(snapshot):
                    log.warning("Go on with %s all the same", snapshot.extensions.id)
        except (AgentError, OSError) as error:
            if not self._context.stop.is_set():
                self._complain(error)
            return False
        self._tell_of_recovery(snapshot)
        return True

    def _awaits_certificates(self, snapshot: Snapshot) -> bool:
        """Whether a new fast-track goal state came without a certificate that it needs; told."""
        extensions = snapshot.extensions
        is_fast = extensions.source is GoalStateSource.FAST_TRACK
        if not is_fast or not self._processing.is_new(extensions):
            return False
        missing = next(snapshot.missing_certificates(), None)
        if missing is None:
            return False
        text = (
            "The extensions goal state is out of sync with the tenant cert. Certificate"
            f" {missing.thumbprint}, needed by {missing.needed_by}, is missing."
        )
        log.warning("%s", text)
        self._context.events.add(Op.GOAL_STATE, text, success=False, quiet=True)
        return True

    def _tell_of_recovery(self, snapshot: Snapshot) -> None:
        self._parts.keeper.fetched(snapshot)
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
        self._parts.keeper.fetch_failed(error)
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
