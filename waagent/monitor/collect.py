"""The spool: take the event files of the agent and, in the older way, of extensions to the outbox.

Files of the extensions' own folders are ``extension_events``. Source: spec WIRE 8.6, EXT 9.6.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from waagent.core.clock import Clock, Stop
from waagent.core.errors import AgentError, DocumentError, describe
from waagent.core.events import AGENT_EVENT, AGENT_PROVIDER, Events, Op
from waagent.core.records import dataclass, replace
from waagent.core.redact import redact
from waagent.core.spool import SUFFIX
from waagent.core.version import AGENT_NAME
from waagent.core.workers import Periodic
from waagent.monitor.event_files import (
    PAUSE_S,
    TRIES,
    EventFile,
    EventFolder,
    open_event_folder,
)
from waagent.monitor.losses import Losses
from waagent.monitor.outbox import Outbox
from waagent.protocol.documents.telemetry import TelemetryEvent, parse_event

THREAD = "TelemetryEventsCollector"
PERIOD_S = 60.0
EVENT_FILE = ".tld"
MAX_FILE = 1024 * 1024
JSON = "json"
OWN_PARAMETERS = ("Name", "Version", "Operation", "OperationSuccess", "Message", "Duration")


@dataclass(frozen=True)
class Tools:
    """What collecting needs beside a folder."""

    events: Events
    outbox: Outbox
    clock: Clock
    stop: Stop

    def must_wait(self) -> bool:
        """Whether files have to stay where they are: the outbox is full, or we are stopping."""
        return self.outbox.is_full() or self.stop.is_set()


class SpoolCollector:
    """Empties the spool; every file is gone before its event can be sent."""

    def __init__(self, folder: Path, tools: Tools) -> None:
        self._folder = folder
        self._tools = tools
        self._losses = Losses(Op.COLLECT_EVENT_ERRORS)
        self._undecodable = Losses(Op.COLLECT_EVENT_UNICODE_ERRORS)

    def collect(self) -> None:
        """Take all files; those that cannot be read are tried again, then counted and removed."""
        if self._folder.is_dir():
            with open_event_folder(self._folder) as folder:
                self._empty(folder)
        lost = self._tools.events.take_lost()
        if lost:
            self._losses.add("could not be written to the spool, or made room in it", lost)
        self._losses.report(self._tools.events)
        self._undecodable.report(self._tools.events)

    def _empty(self, folder: EventFolder) -> None:
        pending = [name for name in folder.names() if name.endswith(EVENT_FILE)]
        for attempt in range(1, TRIES + 1):
            again = []
            for name in pending:
                if self._tools.must_wait():
                    return
                if not self._take(folder, name, is_last=attempt == TRIES):
                    again.append(name)
            pending = again
            if not pending or self._tools.clock.wait(self._tools.stop, PAUSE_S):
                return

    def _take(self, folder: EventFolder, name: str, *, is_last: bool) -> bool:
        """Queue one file's event and remove the file; ``False`` to try again."""
        try:
            file = folder.read(name, limit=MAX_FILE)
            file.data.decode("utf-8")  # not text is told apart from not an event
            event = _complete(parse_event(file.data), file, self._tools.events)
        except (UnicodeDecodeError, DocumentError, FileNotFoundError) as error:
            if not is_last:
                return False
            undecodable = isinstance(error, UnicodeDecodeError)
            self._give_up(folder, name, error, undecodable=undecodable)
            return True
        except (AgentError, OSError) as error:
            self._give_up(folder, name, error)
            return True
        if self._remove(folder, name):
            self._tools.outbox.put(event)
        return True

    def _give_up(
        self, folder: EventFolder, name: str, error: Exception, *, undecodable: bool = False
    ) -> None:
        losses = self._undecodable if undecodable else self._losses
        losses.add(f"{name}: {describe(error)}")
        self._remove(folder, name)

    def _remove(self, folder: EventFolder, name: str) -> bool:
        """Take the file away; if it stays, its event is lost: else it were sent once a minute."""
        try:
            folder.remove(name)
        except OSError as error:
            self._losses.add(f"{name} cannot be removed: {describe(error)}")
            return False
        return True


def periodics(spool: SpoolCollector) -> list[Periodic]:
    """The spool's part of the thread ``TelemetryEventsCollector``."""
    return [Periodic("collect telemetry events", PERIOD_S, spool.collect)]


def _complete(event: TelemetryEvent, file: EventFile, events: Events) -> TelemetryEvent:
    """The event with its message redacted and, if an extension wrote it, our common parameters."""
    event = replace(event, parameters=tuple(map(_redacted, event.parameters)))
    if file.name.endswith(SUFFIX):
        return event  # our own, complete when it was written
    is_agent_event = event.event_id == AGENT_EVENT and event.provider == AGENT_PROVIDER
    common = events.common.parameters(file.written, agent_event=is_agent_event, extension_type=JSON)
    if event.value("Name") not in (None, AGENT_NAME):
        own = [pair for pair in event.parameters if pair[0] in OWN_PARAMETERS]
        return replace(event, parameters=(*own, *common))
    given = {name for name, _ in event.parameters}
    missing = [pair for pair in common if pair[0] not in given]
    return replace(event, parameters=(*event.parameters, *missing))


def _redacted(parameter: tuple[str, Any]) -> tuple[str, Any]:
    name, value = parameter
    return (name, redact(value)) if name == "Message" and isinstance(value, str) else parameter
