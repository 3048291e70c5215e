"""The extensions' own events folders: so many events in a period, so large, and no more.

A handler writes to ``<log folder>/<handler>/events``. What is dropped is counted by reason and
told once a period. Source: spec WIRE 8.7, EXT 9.6.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from waagent.core.errors import AgentError, DocumentError, EventDropped, describe
from waagent.core.events import LOG_EVENT, LOG_PROVIDER
from waagent.core.records import dataclass, field
from waagent.core.workers import Periodic
from waagent.monitor.collect import Tools
from waagent.monitor.event_files import (
    PAUSE_S,
    TRIES,
    EventFile,
    EventFolder,
    open_event_folder,
)
from waagent.protocol.documents.extension_events import parse_event_items, parse_extension_event

log = logging.getLogger(__name__)

MAX_EVENTS = 360
MAX_FILE = 4 * 1024 * 1024
MAX_REASONS = 20
MAX_WARNINGS = 10
_NAME = re.compile(r"[0-9]+\.json", re.IGNORECASE)


@dataclass
class _Turn:
    """What one handler's folder gave in this period."""

    handler: str
    accepted: int = 0
    is_over: bool = False
    skipped_files: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def drop(self, reason: str, count: int = 1) -> None:
        known = reason in self.dropped or len(self.dropped) < MAX_REASONS
        self.dropped[reason if known else "other reasons"] += count


class ExtensionEventsCollector:
    """Empties the events folders of all handlers."""

    def __init__(self, log_folder: Path, tools: Tools) -> None:
        self._log_folder = log_folder
        self._tools = tools
        self._has_spoken = False

    def collect(self) -> None:
        """Take the events of every handler to the outbox."""
        if not self._has_spoken:
            self._has_spoken = True
            log.info("Extension Telemetry pipeline enabled: True")
        for handler, path in self._folders():
            turn = _Turn(handler)
            try:
                with open_event_folder(path) as folder:
                    is_done = self._collect(folder, turn)
                    if is_done:
                        self._empty(folder)
            except OSError as error:
                log.warning('Cannot collect events from "%s": %s', path, error)
                continue
            self._tell(turn)
            if not is_done:
                return  # asked to stop, or no room: the files stay for later

    def _folders(self) -> Iterable[tuple[str, Path]]:
        if not self._log_folder.is_dir():
            return
        for path in sorted(self._log_folder.iterdir()):
            folder = path / "events"
            if folder.is_dir():
                yield path.name, folder

    def _collect(self, folder: EventFolder, turn: _Turn) -> bool:
        """Read files, newest first; ``False`` when what is left must stay."""
        pending = [name for name in reversed(folder.names()) if _NAME.fullmatch(name)]
        for attempt in range(1, TRIES + 1):
            again: list[str] = []
            for name in pending:
                if self._tools.must_wait():
                    return False
                if turn.accepted >= MAX_EVENTS:
                    turn.is_over = True
                    return True
                if not self._take(folder, name, turn, is_last=attempt == TRIES):
                    again.append(name)
            pending = again
            if not pending:
                return True
            if self._tools.clock.wait(self._tools.stop, PAUSE_S):
                return False
        return True

    def _take(self, folder: EventFolder, name: str, turn: _Turn, *, is_last: bool) -> bool:
        """Queue one file's events and remove the file; ``False`` to try again."""
        try:
            file = folder.read(name, limit=MAX_FILE)
            items = parse_event_items(file.data)
        except (DocumentError, FileNotFoundError) as error:
            if is_last:
                self._skip(folder, name, turn, error)
            return is_last
        except (AgentError, OSError) as error:
            self._skip(folder, name, turn, error)
            return True
        if self._remove(folder, name):
            self._accept(items, file, turn)
        else:
            turn.drop("the file cannot be removed", len(items))
        return True

    def _accept(self, items: list[object], file: EventFile, turn: _Turn) -> None:
        common = self._tools.events.common.parameters(file.written, agent_event=False)
        for item in items:
            if turn.accepted >= MAX_EVENTS:
                turn.is_over = True
                return
            try:
                event = parse_extension_event(item)
            except EventDropped as error:
                turn.drop(error.for_fabric())
                continue
            self._tools.outbox.put(
                event.telemetry(turn.handler, common, event_id=LOG_EVENT, provider=LOG_PROVIDER)
            )
            turn.accepted += 1

    def _skip(self, folder: EventFolder, name: str, turn: _Turn, error: Exception) -> None:
        turn.skipped_files += 1
        if turn.skipped_files <= MAX_WARNINGS:
            self._warn(f"Skipping the event file {name} of {turn.handler}: {describe(error)}")
        self._remove(folder, name)

    def _empty(self, folder: EventFolder) -> None:
        """Whatever else is there goes too, so that no extension fills the disk with events."""
        for name in folder.names():
            self._remove(folder, name)

    def _remove(self, folder: EventFolder, name: str) -> bool:
        try:
            folder.remove(name)
        except OSError as error:
            log.warning('Cannot remove the event file "%s": %s', name, error)
            return False
        return True

    def _tell(self, turn: _Turn) -> None:
        if turn.skipped_files > MAX_WARNINGS:
            more = turn.skipped_files - MAX_WARNINGS
            self._warn(f"Skipped {more} more event files of {turn.handler}")
        if turn.is_over:
            self._warn(
                f"Reached max count for the extension: {turn.handler};"
                f" Max Limit: {MAX_EVENTS}. Skipping the rest."
            )
        if turn.dropped:
            details = "\n\t".join(
                f"Reason: {reason}; Dropped Count: {count}"
                for reason, count in sorted(turn.dropped.items())
            )
            self._warn(f"Dropped events for Extension: {turn.handler}; Details:\n\t{details}")
        if turn.accepted:
            log.info("Collected %d events for extension: %s", turn.accepted, turn.handler)

    def _warn(self, message: str) -> None:
        """Say it in the log, and to the service as well."""
        log.warning("%s", message)
        self._tools.events.add_log("WARNING", message)


def periodics(extensions: ExtensionEventsCollector, *, period_s: float) -> list[Periodic]:
    """The extensions' part of the thread ``TelemetryEventsCollector``."""
    return [Periodic("collect the events of extensions", period_s, extensions.collect)]
