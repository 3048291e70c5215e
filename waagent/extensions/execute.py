"""Carry out the plan of one item, and store what is reported of it when that fails.

Raises whatever goes wrong; ``reconcile.py`` keeps it from the next item. Source: spec EXT 2.4 to
2.6.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Callable, Optional, Union

from waagent.core.errors import describe
from waagent.core.events import Op
from waagent.extensions import package
from waagent.extensions.codes import ExtensionCode, ExtensionError, GoalStateFault
from waagent.extensions.commandlog import Voice
from waagent.extensions.failure import Failure, failure_of
from waagent.extensions.home import HandlerHome, home_of, homes_on_disk, prefix_of
from waagent.extensions.operate import Operator, Tools
from waagent.extensions.plans import Action, Plan
from waagent.extensions.sequence import Item
from waagent.extensions.state import find_installed
from waagent.extensions.steps import (
    choose_way,
    steps_to_disable,
    steps_to_enable,
    steps_to_uninstall,
)
from waagent.extensions.stored import (
    Placeholder,
    StoredStatus,
    write_placeholder,
    write_stored_status,
)
from waagent.extensions.work import Step, Work
from waagent.protocol.documents.handlers import Handler, RequestedState
from waagent.protocol.documents.manifest import Manifest
from waagent.protocol.documents.status import NOT_READY

log = logging.getLogger(__name__)

KeepManifest = Callable[[str, bytes], None]


class Executor:
    """Works on one item at a time; remembers which version stands for which of the goal state."""

    def __init__(self, tools: Tools, keep_manifest: Optional[KeepManifest]) -> None:
        self._tools = tools
        self._paths = tools.context.paths
        self._keep_manifest = keep_manifest
        self._versions: dict[tuple[str, str], str] = {}
        self._manifests: dict[str, Union[Manifest, ExtensionError]] = {}
        self._step: Optional[Step] = None

    def begin(self, handlers: Sequence[Handler]) -> None:
        """A new goal state: manifests are fetched anew."""
        self._manifests.clear()
        wanted = {(handler.name, handler.version) for handler in handlers}
        self._versions = {key: each for key, each in self._versions.items() if key in wanted}

    def home(self, handler: Handler) -> HandlerHome:
        """Where the version is that stands for this entry of the goal state.

        Before the entry was worked on that is what the last process has made of it.
        """
        version = self._versions.get((handler.name, handler.version))
        home = home_of(self._paths, handler.name, version or handler.version)
        if version is None and not home.folder.exists():
            installed = find_installed(homes_on_disk(self._paths, handler.name))
            if installed is not None and package.stands_for(handler, installed.version):
                return installed
        return home

    def voice(self, item: Item, home: Optional[HandlerHome] = None) -> Voice:
        """Who speaks about an item."""
        home = home or self.home(item.handler)
        full_name = f"{item.name}-{home.version}"
        return Voice(self._tools.context.events, full_name, home.name, home.version)

    def execute(self, plan: Plan, goal_id: str) -> None:
        """Do what is planned; raises what went wrong."""
        self._step = None
        item, handler = plan.item, plan.item.handler
        if plan.action is Action.REJECT:
            raise GoalStateFault(plan.why)
        manifest = self._manifest(handler, is_needed=plan.action is Action.ENABLE)
        installed = find_installed(homes_on_disk(self._paths, handler.name))
        choice = package.choose(handler, manifest, installed.version if installed else None)
        self._versions[handler.name, handler.version] = choice.version
        home = self.home(handler)
        voice = self.voice(item)
        if plan.action is Action.ENABLE and choice.version != handler.version:
            voice.report(
                Op.REQUESTED_VERSION_MISMATCH,
                f"Requested version {handler.version} is served by {choice.version}",
            )
        voice.info("Target handler state: %s [%s]", handler.state.value, goal_id)
        work = Work(
            self._tools,
            Operator(self._tools, handler, home, voice),
            item.settings,
            choice.package,
            old=self._operator(item, installed) if installed else None,
        )
        try:
            work.run(self._steps(plan.action, work))
        finally:
            self._step = work.step

    def report_failure(self, item: Item, error: Exception) -> None:
        """Store and send what is said of an item that failed."""
        op = self._step.op if self._step is not None else None
        failure = failure_of(error, op, item.name)
        if failure.op is not None:
            self.voice(item).complain(failure.op, failure.message)
        if failure.is_of_handler:
            self._say(item, failure)
        if item.extension is not None:
            operation = failure.op.value if failure.op is not None else Op.UPDATE.value
            self._write_placeholder(item, failure, operation, overwrite=False)

    def skip(self, item: Item, why: str) -> None:
        """Store what is said of an item after one that failed (spec EXT 2.5)."""
        self.voice(item).warning("%s", why)
        failure = Failure(why)
        if item.extension is None:
            self._say(item, failure)
            return
        if not self.home(item.handler).stored_status.exists():
            self._say(item, failure)
        self._write_placeholder(item, failure, Op.EXTENSION_PROCESSING.value, overwrite=False)

    def refuse(self, item: Item, why: str) -> None:
        """Store what is said of an item that may not run.

        The status file is replaced: CRP finds it by its sequence number and would otherwise take
        an old success for the answer (spec EXT 2.4).
        """
        is_wanted = item.handler.state is RequestedState.ENABLED
        code = ExtensionCode.ENABLE_FAILED if is_wanted else ExtensionCode.DISABLE_FAILED
        failure = Failure(why, int(code))
        self.voice(item).complain(Op.EXTENSION_PROCESSING, why)
        self._say(item, failure)
        if is_wanted and item.settings is not None:
            self._write_placeholder(item, failure, None, overwrite=True)

    def _manifest(self, handler: Handler, *, is_needed: bool) -> Manifest:
        """The manifest, asked for once for each handler of a goal state.

        What is only to go is not kept here by a manifest that cannot be had.
        """
        found = self._manifests.get(handler.name)
        if found is None:
            found = self._manifests[handler.name] = self._fetch_manifest(handler)
        if isinstance(found, Manifest):
            return found
        if is_needed:
            raise found
        log.warning("Go on without the manifest of %s: %s", handler.name, describe(found))
        return Manifest(())

    def _fetch_manifest(self, handler: Handler) -> Union[Manifest, ExtensionError]:
        try:
            with self._tools.context.doing(f"download the manifest of {handler.name}"):
                manifest, data = package.fetch_manifest(self._tools.downloads, handler)
        except ExtensionError as error:
            return error
        if self._keep_manifest is not None:
            self._keep_manifest(handler.name, data)
        return manifest

    def _operator(self, item: Item, home: HandlerHome) -> Operator:
        return Operator(self._tools, item.handler, home, self.voice(item, home))

    def _steps(self, action: Action, work: Work) -> tuple[Step, ...]:
        state = work.new.state
        if action is Action.UNINSTALL:
            return steps_to_uninstall(state)
        if action is Action.DISABLE:
            work.new.voice.report(Op.REQUESTED_STATE_DISABLED, "Requested state is disabled")
            return steps_to_disable()
        old = work.old.home.version if work.old else None
        return steps_to_enable(choose_way(state, work.new.home.version, old))

    def _say(self, item: Item, failure: Failure) -> None:
        if not _has_home(item):
            return
        write_stored_status(
            self.home(item.handler),
            StoredStatus(NOT_READY, failure.code, failure.message),
            is_multi_config=item.handler.is_multi_config,
        )

    def _write_placeholder(
        self, item: Item, failure: Failure, operation: Optional[str], *, overwrite: bool
    ) -> None:
        if not _has_home(item):
            return
        write_placeholder(
            self.home(item.handler),
            prefix_of(item.handler, item.settings),
            Placeholder(item.name, operation, failure.message, failure.code),
            self._tools.context.system.clock.now(),
            overwrite=overwrite,
        )


def _has_home(item: Item) -> bool:
    """Without name and version there is no folder, and nobody to report a status of."""
    return bool(item.handler.name and item.handler.version)
