"""The room's door: bring handlers to where a goal state wants them, and say how they are.

The plan is made in ``plans.py`` (pure). Here it is carried out: each handler isolated from the
next, whatever goes wrong with it. Source: spec EXT 2.2 to 2.7, 4.3.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Callable, Optional

from waagent.core.context import Context
from waagent.core.errors import AgentError, describe
from waagent.core.events import Op
from waagent.core.log import Quietly
from waagent.core.records import replace
from waagent.extensions import running, sweep
from waagent.extensions.codes import ExtensionCode, Interrupted
from waagent.extensions.commandlog import recording
from waagent.extensions.execute import Executor, KeepManifest
from waagent.extensions.failure import Failure, failure_of
from waagent.extensions.gather import Reported, extension_status, gather, handlers_on_disk
from waagent.extensions.home import home_of, homes_on_disk
from waagent.extensions.launch import Launcher
from waagent.extensions.meanwhile import SpeakingClock
from waagent.extensions.operate import Tools
from waagent.extensions.package import Downloads
from waagent.extensions.plans import Action, Known, Plan, plan
from waagent.extensions.sequence import DEADLINE_S, Dependencies, Item, skipped_because_of
from waagent.extensions.standing import Standing, read_standings
from waagent.extensions.status import Patience
from waagent.extensions.unfinished import Unfinished
from waagent.protocol.documents.extensions import ExtensionsGoalState
from waagent.protocol.documents.handlers import Handler, RequestedState
from waagent.protocol.documents.status import FEATURES, NOT_READY, HandlerStatus

log = logging.getLogger(__name__)

CONF_PATH = "/etc/waagent.conf"
COMPLAIN_EVERY_S = 30 * 60.0
BEGINNING = 100


class Extensions:
    """Everything about handlers that the loop needs; used by one thread."""

    def __init__(
        self,
        context: Context,
        downloads: Downloads,
        *,
        wire_address: str,
        conf_path: str = CONF_PATH,
        keep_manifest: Optional[KeepManifest] = None,
        launcher: Optional[Launcher] = None,
        patience_s: float = DEADLINE_S,
    ) -> None:
        self._context = context
        self._clock = SpeakingClock(context.system.clock)
        self._working = replace(context, system=replace(context.system, clock=self._clock))
        self._awaiting: set[str] = set()
        self._launcher = launcher or Launcher(self._working, wire_address)
        self._executor = Executor(Tools(context, downloads, self._launcher), keep_manifest)
        self._patience_s = patience_s
        self._refusal = None if context.conf.extensions.enabled else _refusal(conf_path)
        self._done: Optional[str] = None
        self._unfinished = Unfinished()
        self._missing: frozenset[str] = frozenset()
        self._refused: set[str] = set()
        self._said: set[str] = set()
        self._quietly = Quietly(context.system.clock, COMPLAIN_EVERY_S)

    def prepare(self) -> None:
        """At the child's start: sweep left-overs, write every handler's environment anew."""
        sweep.prepare(self._context.paths)

    @property
    def lacks_room(self) -> bool:
        """Whether something of the last goal state failed because a disk refused it."""
        return self._unfinished.lacks_room

    @property
    def lacked_certificates(self) -> frozenset[str]:
        """Thumbprints of certificates that something of the last goal state failed without."""
        return self._unfinished.lacked_certificates

    def process(
        self,
        goal: ExtensionsGoalState,
        report: Callable[[], None] = lambda: None,
        *,
        missing: frozenset[str] = frozenset(),
    ) -> None:
        """Carry the goal state out, once; failures become statuses and are never raised.

        When we are to stop it returns early, and the next start does all of it again. While it
        takes its time ``report`` is called now and then. Called again for the same goal state it
        does what failed for want of room on a disk or of a certificate, and what comes after
        that. ``missing`` are certificates that have not come.
        """
        plans = self._plans(goal)
        if not plans and goal.identity == self._done:
            return
        self._missing = missing
        self._unfinished.begin()
        self._executor.begin(goal.handlers)
        self._awaiting = {handler.name for handler in goal.handlers}
        self._refused.clear()
        self._said.clear()
        try:
            # Of all handlers, not of each before its own turn: one command runs at a time, and
            # a handler that is named no more is removed without a turn.
            self._clock.begin(report, after_s=0.0)
            running.await_commands(self._working, homes_on_disk(self._context.paths))
            self._clock.begin(report)
            self._carry_out(plans, goal.id)
        except Interrupted:
            log.info("Leave goal state %s unfinished: the agent is to stop", goal.id)
            return
        finally:
            self._clock.end()
            self._awaiting.clear()
        names = [handler.name for handler in goal.handlers]
        error = isolate(partial(sweep.remove_orphans, self._context.paths, names))
        if error is not None:
            log.warning("Cannot remove what the goal state does not name: %s", describe(error))
        self._done = goal.identity

    def _plans(self, goal: ExtensionsGoalState) -> tuple[Plan, ...]:
        return plan(goal, Known(self._done, self._unfinished.again, self._refusal))

    def statuses(self, goal: ExtensionsGoalState) -> tuple[HandlerStatus, ...]:
        """What is reported of every handler; one that cannot be read leaves the others alone.

        For a goal state that asks for unknown features it is what lies on the disk (EXT 4.8).
        """
        self._launcher.tend()
        records: list[HandlerStatus] = []
        patience = Patience(self._context.system.clock, self._context.stop)
        for each in self._reported(goal):
            found: list[HandlerStatus] = []
            error = isolate(partial(self._gather_into, found, each, patience))
            found = self._unfinished.corrected(each.handler.name, found)
            records += found
            if error is not None:
                self._say_once(each, f"Cannot report {each.handler.name}: {describe(error)}")
            elif not found and self._should_be_here(each.handler):
                self._say_once(
                    each,
                    f"No handler status found for {each.handler.name}."
                    " Not reporting anything for it.",
                )
        return tuple(records)

    def _should_be_here(self, handler: Handler) -> bool:
        is_awaited = handler.name in self._awaiting
        return handler.state is not RequestedState.UNINSTALL and not is_awaited

    def standings(self, goal: ExtensionsGoalState) -> tuple[Standing, ...]:
        """How far each item of the goal state has come, for people who ask."""
        return read_standings(goal.handlers, self._executor.home)

    def _carry_out(self, plans: Sequence[Plan], goal_id: str) -> None:
        dependencies = Dependencies(self._clock, self._context.stop, limit_s=self._patience_s)
        blocked: Optional[str] = None
        for each in plans:
            if each.action is Action.REFUSE:
                self._refused.add(each.item.handler.name)
                failure = Failure(each.why, int(ExtensionCode.ENABLE_FAILED))
                self._tell(each.item, failure, partial(self._executor.refuse, each.item, each.why))
            elif blocked is not None:
                self._unfinished.skipped(each.item)
                skip = partial(self._executor.skip, each.item, blocked)
                self._tell(each.item, Failure(blocked), skip)
            else:
                succeeded = self._execute(each, goal_id)
                self._awaiting.discard(each.item.handler.name)
                if each.others_wait:
                    blocked = self._find_obstacle(each.item, dependencies, succeeded=succeeded)

    def _execute(self, each: Plan, goal_id: str) -> bool:
        """Whether the item succeeded; if not, that is stored and sent."""
        item = each.item
        verbose = self._context.conf.logs.verbose
        log_file: Optional[Path] = None
        if each.action is not Action.REJECT:  # one that is rejected may have no name
            log_file = home_of(
                self._context.paths, item.handler.name, item.handler.version
            ).command_log(item.extension)
        with recording(log_file, item.name, verbose=verbose):
            error = isolate(partial(self._executor.execute, each, goal_id))
            if error is not None:
                self._unfinished.failed(item, error, self._missing)
                failure = failure_of(error, None, item.name)
                self._tell(item, failure, partial(self._executor.report_failure, item, error))
        return error is None

    def _find_obstacle(
        self, item: Item, dependencies: Dependencies, *, succeeded: bool
    ) -> Optional[str]:
        """Why nothing after this item may run, or ``None``."""
        if succeeded and item.settings is None:
            return None
        obstacle: Optional[str] = skipped_because_of(item)
        if succeeded:
            obstacle = self._await_success(item, dependencies)
        if obstacle is not None:
            log.warning(
                "Dependent extension %s failed or timed out, will skip processing the rest of the"
                " extensions",
                item.name,
            )
            self._executor.voice(item).complain(Op.EXTENSION_PROCESSING, obstacle)
        return obstacle

    def _await_success(self, item: Item, dependencies: Dependencies) -> Optional[str]:
        home, clock = self._executor.home(item.handler), self._context.system.clock
        what = f"wait for extension {item.name}, level {item.key}, which others depend on"
        with self._context.doing(what, limit_s=dependencies.left_s):
            return dependencies.await_success(
                item,
                lambda: extension_status(
                    item.handler, item.settings, home, Patience(clock, self._context.stop)
                ),
            )

    def _reported(self, goal: ExtensionsGoalState) -> Sequence[Reported]:
        if any(name not in FEATURES for name in goal.required_features):
            return tuple(handlers_on_disk(self._context.paths))
        return tuple(
            Reported(
                handler,
                self._executor.home(handler),
                is_disallowed=handler.name in self._refused,
            )
            for handler in goal.handlers
            if handler.name and handler.version
        )

    def _gather_into(
        self, records: list[HandlerStatus], each: Reported, patience: Patience
    ) -> None:
        def complain(message: str) -> None:
            # By its beginning: what follows is the file's, which may change all the time.
            if self._quietly.may_say(message[:BEGINNING]):
                log.warning("[PERIODIC] %s", message)
                self._context.events.add(
                    Op.STATUS_PROCESSING,
                    message,
                    success=False,
                    name=each.handler.name,
                    version=each.home.version,
                    quiet=True,
                )

        found = gather(each, patience, complain)
        if each.handler.name in self._awaiting:
            found = tuple(_without_verdict(record) for record in found)
        records += found

    def _tell(self, item: Item, failure: Failure, do: Callable[[], None]) -> None:
        """What cannot be stored is kept in memory: somebody has to hear of a disk that is full."""
        error = isolate(do)
        if error is not None:
            log.error("Cannot store a status: %s", describe(error))
            version = self._executor.home(item.handler).version
            self._unfinished.untold(item, version, failure, error)

    def _say_once(self, each: Reported, message: str) -> None:
        """Once for each goal state."""
        if message not in self._said:
            self._said.add(message)
            log.warning("%s", message)
            self._context.events.add(
                Op.REPORT_STATUS,
                message,
                success=False,
                name=each.handler.name,
                version=each.handler.version,
                quiet=True,
            )


def _without_verdict(record: HandlerStatus) -> HandlerStatus:
    """What an earlier goal state came to is not how this one ends, which may be the same."""
    if record.status != NOT_READY or record.code == 0:
        return record
    return replace(record, code=0, message="The goal state is being carried out")


def isolate(do: Callable[[], None]) -> Optional[Exception]:
    """Do the work of one handler; whatever goes wrong comes back, so that the next is served."""
    try:
        do()
    except Interrupted:
        raise
    except Exception as error:
        if not isinstance(error, (AgentError, OSError)):
            log.error("An unexpected error: %s", describe(error), exc_info=error)
        return error
    return None


def _refusal(conf_path: str) -> str:
    return (
        "will not be processed since extension processing is disabled. To enable extension"
        f" processing, set Extensions.Enabled=y in '{conf_path}'"
    )


__all__ = ["Extensions", "isolate", "plan"]
