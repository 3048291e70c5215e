"""The room's door: bring handlers to where a goal state wants them, and say how they are.

The plan is made in ``plans.py`` (pure). Here it is carried out: each handler isolated from the
next, whatever goes wrong with it. Source: spec EXT 2.2 to 2.7, 4.3.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Callable, Optional

from waagent.core.context import Context
from waagent.core.errors import AgentError, describe
from waagent.core.events import Op
from waagent.core.log import Quietly
from waagent.extensions import running, sweep
from waagent.extensions.codes import Interrupted
from waagent.extensions.commandlog import recording
from waagent.extensions.execute import Executor, KeepManifest
from waagent.extensions.gather import Reported, extension_status, gather, handlers_on_disk
from waagent.extensions.home import homes_on_disk
from waagent.extensions.launch import Launcher
from waagent.extensions.operate import Tools
from waagent.extensions.package import Downloads
from waagent.extensions.plans import Action, Known, Plan, plan
from waagent.extensions.sequence import DEADLINE_S, Dependencies, Item, skipped_because_of
from waagent.protocol.documents.extensions import ExtensionsGoalState
from waagent.protocol.documents.handlers import RequestedState
from waagent.protocol.documents.status import FEATURES, HandlerStatus

log = logging.getLogger(__name__)

CONF_PATH = "/etc/waagent.conf"
COMPLAIN_EVERY_S = 30 * 60.0


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
        tools = Tools(context, downloads, launcher or Launcher(context, wire_address))
        self._executor = Executor(tools, keep_manifest)
        self._patience_s = patience_s
        self._refusal = None if context.conf.extensions.enabled else _refusal(conf_path)
        self._done: Optional[str] = None
        self._refused: set[str] = set()
        self._said: set[str] = set()
        self._quietly = Quietly(context.system.clock, COMPLAIN_EVERY_S)

    def prepare(self) -> None:
        """At the child's start: sweep left-overs, write every handler's environment anew."""
        sweep.prepare(self._context.paths)

    def process(self, goal: ExtensionsGoalState) -> None:
        """Carry the goal state out, once; failures become statuses and are never raised.

        When we are to stop it returns early, and the next start does all of it again.
        """
        plans = plan(goal, Known(self._done, self._refusal))
        if goal.id == self._done:
            return
        self._executor.begin(goal.handlers)
        self._refused.clear()
        self._said.clear()
        try:
            # Of all handlers, not of each before its own turn: one command runs at a time, and
            # a handler that is named no more is removed without a turn.
            running.await_commands(self._context, homes_on_disk(self._context.paths))
            self._carry_out(plans, goal.id)
        except Interrupted:
            log.info("Leave goal state %s unfinished: the agent is to stop", goal.id)
            return
        names = [handler.name for handler in goal.handlers]
        error = isolate(partial(sweep.remove_orphans, self._context.paths, names))
        if error is not None:
            log.warning("Cannot remove what the goal state does not name: %s", describe(error))
        self._done = goal.id

    def statuses(self, goal: ExtensionsGoalState) -> tuple[HandlerStatus, ...]:
        """What is reported of every handler; one that cannot be read leaves the others alone.

        For a goal state that asks for unknown features it is what lies on the disk (EXT 4.8).
        """
        records: list[HandlerStatus] = []
        for each in self._reported(goal):
            before = len(records)
            error = isolate(partial(self._gather_into, records, each))
            if error is not None:
                self._say_once(each, f"Cannot report {each.handler.name}: {describe(error)}")
            elif len(records) == before and each.handler.state is not RequestedState.UNINSTALL:
                self._say_once(
                    each,
                    f"No handler status found for {each.handler.name}."
                    " Not reporting anything for it.",
                )
        return tuple(records)

    def _carry_out(self, plans: Sequence[Plan], goal_id: str) -> None:
        clock = self._context.system.clock
        dependencies = Dependencies(clock, self._context.stop, limit_s=self._patience_s)
        blocked: Optional[str] = None
        for each in plans:
            if each.action is Action.REFUSE:
                self._refused.add(each.item.handler.name)
                self._tell(partial(self._executor.refuse, each.item, each.why))
            elif blocked is not None:
                self._tell(partial(self._executor.skip, each.item, blocked))
            else:
                succeeded = self._execute(each, goal_id)
                if each.others_wait:
                    blocked = self._find_obstacle(each.item, dependencies, succeeded=succeeded)

    def _execute(self, each: Plan, goal_id: str) -> bool:
        """Whether the item succeeded; if not, that is stored and sent."""
        item = each.item
        verbose = self._context.conf.logs.verbose
        log_file = self._executor.home(item.handler).command_log(item.extension)
        is_named = each.action is not Action.REJECT  # one that is rejected may have no name
        with recording(log_file if is_named else None, item.name, verbose=verbose):
            error = isolate(partial(self._executor.execute, each, goal_id))
            if error is not None:
                self._tell(partial(self._executor.report_failure, item, error))
        return error is None

    def _find_obstacle(
        self, item: Item, dependencies: Dependencies, *, succeeded: bool
    ) -> Optional[str]:
        """Why nothing after this item may run, or ``None``."""
        if succeeded and item.settings is None:
            return None
        obstacle: Optional[str] = skipped_because_of(item)
        if succeeded:
            obstacle = dependencies.await_success(
                item,
                lambda: extension_status(
                    item.handler,
                    item.settings,
                    self._executor.home(item.handler),
                    self._context.system.clock,
                ),
            )
        if obstacle is not None:
            log.warning(
                "Dependent extension %s failed or timed out, will skip processing the rest of the"
                " extensions",
                item.name,
            )
            self._executor.voice(item).complain(Op.EXTENSION_PROCESSING, obstacle)
        return obstacle

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

    def _gather_into(self, records: list[HandlerStatus], each: Reported) -> None:
        def complain(message: str) -> None:
            if self._quietly.may_say(message):
                log.warning("[PERIODIC] %s", message)
                self._context.events.add(
                    Op.STATUS_PROCESSING,
                    message,
                    success=False,
                    name=each.handler.name,
                    version=each.home.version,
                    quiet=True,
                )

        records += gather(each, self._context.system.clock, complain)

    def _tell(self, do: Callable[[], None]) -> None:
        error = isolate(do)
        if error is not None:
            log.error("Cannot store a status: %s", describe(error))

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
