"""Keeps the file that ``-show-goal-state`` reads: what the loop, reports and extensions know.

Used by the loop's thread alone. The file lies in memory (/run) and is replaced once a turn, and
whenever something that takes its time begins or ends. That it cannot be written stops nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Callable, Optional, TypeVar

from waagent.core import files
from waagent.core.conf import Conf
from waagent.core.context import Context
from waagent.core.errors import GuestError, describe
from waagent.core.log import Quietly
from waagent.core.records import replace
from waagent.core.version import AGENT_VERSION
from waagent.extensions.standing import Standing
from waagent.exthandlers.belief import (
    MOST_ROWS,
    Agent,
    Attempts,
    Belief,
    Extension,
    Goal,
    Upload,
    render_belief,
)
from waagent.guest.processes import find_begin
from waagent.guest.stats import read_boot
from waagent.protocol.documents.extensions import ExtensionsGoalState
from waagent.protocol.documents.status import GoalStateStatus, HandlerStatus
from waagent.protocol.store import Snapshot

log = logging.getLogger(__name__)

Standings = Callable[[ExtensionsGoalState], Sequence[Standing]]
T = TypeVar("T", bound=Attempts)


class Keeper:
    """Is told what happens, and writes what is believed now."""

    def __init__(self, context: Context, standings: Standings) -> None:
        system = context.system
        self._context = context
        self._standings = standings
        self._agent = Agent(
            version=AGENT_VERSION,
            why=why_this_version(context.conf),
            pid=os.getpid(),
            began=find_begin(system, os.getpid()),
            boot=read_boot(system),
            started=system.clock.now(),
        )
        self._snapshot: Optional[Snapshot] = None
        self._received = system.clock.now()
        self._outcome: Optional[GoalStateStatus] = None
        self._fetch = Attempts()
        self._upload = Upload()
        self._here: Sequence[Standing] = ()
        self._reported: dict[tuple[str, Optional[str]], HandlerStatus] = {}
        self._next_turn: Optional[datetime] = None
        self._quietly = Quietly(system.clock)

    def begin(self) -> None:
        """From now on keep the file; what a killed process left half written goes."""
        try:
            for path in self._context.paths.belief.parent.glob(".*"):
                files.remove(path)
        except OSError as error:
            self._complain(error)
        self._context.activity.listener = self._changed
        self._write()

    def fetched(self, snapshot: Snapshot) -> None:
        """The goal state in force, asked for with success."""
        known = self._snapshot
        if known is None or known.extensions.id != snapshot.extensions.id:
            self._received = self._now()
        self._snapshot = snapshot
        self._fetch = Attempts(last_success=self._now())
        if known is not snapshot:
            self._look()

    def fetch_failed(self, error: Exception) -> None:
        """It could not be had."""
        self._fetch = _failed(self._fetch, error, self._now())

    def processed(self, outcome: Optional[GoalStateStatus]) -> None:
        """A goal state was carried out, and this came of it."""
        self._outcome = outcome
        self._look()

    def reported(self, handlers: Sequence[HandlerStatus]) -> None:
        """What was said of each handler; the upload is told of by the next call."""
        self._reported = {(each.name, _extension_of(each)): each for each in handlers}

    def uploaded(self, way: str, size: int) -> None:
        """The status went out."""
        self._upload = Upload(last_success=self._now(), way=way, size=size)
        self._write_if_busy()

    def upload_failed(self, error: Exception) -> None:
        """It did not."""
        self._upload = _failed(self._upload, error, self._now())
        self._write_if_busy()

    def rest(self, seconds: float) -> None:
        """A turn is over; the next comes after this time."""
        self._next_turn = self._now() + timedelta(seconds=seconds)
        self._write()

    def end_if_told(self) -> None:
        """The process ends in good order. Where the daemon is lost, the file is another's."""
        if not self._context.stop.is_set():
            return
        self._agent = replace(self._agent, ended=self._now())
        self._next_turn = None
        self._write()

    def _now(self) -> datetime:
        return self._context.system.clock.now()

    def _changed(self) -> None:
        self._look()
        self._write()

    def _write_if_busy(self) -> None:
        """What a turn brings is written at its end, unless that takes its time."""
        if self._context.activity.deeds:
            self._write()

    def _look(self) -> None:
        """States on disk change only while we work on extensions."""
        if self._snapshot is None:
            return
        try:
            self._here = self._standings(self._snapshot.extensions)
        except (OSError, GuestError) as error:
            self._complain(error)

    def _write(self) -> None:
        path = self._context.paths.belief
        try:
            files.ensure_directory(path.parent, mode=0o700)
            files.write(path, render_belief(self._belief()), mode=files.SECRET)
        except (OSError, GuestError) as error:
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        """Not with the name of the temporary file, which is another each time."""
        why = error.strerror if isinstance(error, OSError) else describe(error)
        text = f"Cannot keep {self._context.paths.belief}: {why}"
        if self._quietly.may_say(text):
            log.warning("%s", text)

    def _belief(self) -> Belief:
        snapshot = self._snapshot
        access = snapshot.remote_access if snapshot else None
        return Belief(
            written=self._now(),
            agent=self._agent,
            goal_state=self._goal(snapshot) if snapshot else None,
            goal_state_fetch=self._fetch,
            status_upload=self._upload,
            extensions=tuple(self._extension(each) for each in self._here[:MOST_ROWS]),
            extensions_left_out=max(0, len(self._here) - MOST_ROWS),
            certificates=snapshot.certificates if snapshot else (),
            users=tuple(user.name for user in access.users) if access else (),
            doing=self._context.activity.deeds,
            next_turn=self._next_turn,
        )

    def _goal(self, snapshot: Snapshot) -> Goal:
        state, wanted = snapshot.goal_state, snapshot.extensions
        return Goal(
            id=wanted.id,
            source=wanted.source.value,
            channel=wanted.channel.value,
            incarnation=state.incarnation,
            created=wanted.created_on,
            received=self._received,
            activity_id=wanted.activity_id,
            correlation_id=wanted.correlation_id,
            container_id=state.container_id,
            role_instance_id=state.role_instance_id,
            on_hold=wanted.on_hold,
            outdated=wanted.is_outdated,
            outcome=self._outcome,
        )

    def _extension(self, here: Standing) -> Extension:
        item = here.item
        handler, settings = item.handler, item.settings
        row = Extension(
            name=handler.name,
            extension=item.extension,
            wanted=(settings.state if item.extension and settings else handler.state).value,
            wanted_version=handler.version,
            version=here.version,
            state=here.state,
            level=settings.dependency_level if settings else 0,
            sequence=settings.sequence_number if settings else None,
            handler_message=handler.invalid_reason,
        )
        said = self._reported.get((handler.name, item.extension))
        said = said or self._reported.get((handler.name, None))
        if said is None:
            return row
        row = replace(
            row, handler_status=said.status, handler_code=said.code, handler_message=said.message
        )
        status = said.extension
        if status is None:
            return row
        return replace(
            row,
            status_sequence=status.sequence_number,
            status=status.status,
            code=status.code,
            message=status.message,
        )


def why_this_version(conf: Conf) -> str:
    """Which rule chose this version (spec EXT 5.3)."""
    if conf.downloads_updates or conf.runs_newest_agent:
        return "the installed one: updates that waagent.conf asks for are not in this version"
    return "the installed one: waagent.conf asks for no updates"


def _extension_of(status: HandlerStatus) -> Optional[str]:
    return status.extension.extension_name if status.extension is not None else None


def _failed(before: T, error: Exception, now: datetime) -> T:
    return replace(
        before,
        failures_in_a_row=before.failures_in_a_row + 1,
        failing_since=before.failing_since or now,
        last_error=describe(error),
    )
