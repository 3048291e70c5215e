"""Which statuses are reported for a handler, and with which heartbeat (spec EXT 4.3, 4.4, 4.8)."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable
from typing import Optional

from waagent.core.errors import AgentError, describe
from waagent.core.paths import Paths
from waagent.core.records import dataclass, replace
from waagent.extensions.codes import ExtensionCode, ExtensionError
from waagent.extensions.heartbeat import read_heartbeat
from waagent.extensions.home import HandlerHome, extension_of, homes_on_disk, item_name, prefix_of
from waagent.extensions.manifest import read_handler_manifest
from waagent.extensions.state import HandlerState, is_extension_enabled, read_state
from waagent.extensions.status import (
    Complain,
    Patience,
    Subject,
    read_extension_status,
)
from waagent.extensions.stored import StoredStatus, read_stored_status, write_stored_status
from waagent.protocol.documents.handlers import Handler, RequestedState, Settings
from waagent.protocol.documents.json_fields import parse_integer
from waagent.protocol.documents.status import NOT_READY, ExtensionStatus, HandlerStatus

log = logging.getLogger(__name__)

_APPEND = " Extension was previously enabled and reported the following heartbeat:\n"
_ALONE = (
    "Extension was not executed, but it was previously enabled and reported the following"
    " heartbeat:\n"
)


@dataclass(frozen=True)
class Reported:
    """A handler as it is to be reported: the goal state's entry and the version that stands."""

    handler: Handler
    home: HandlerHome
    is_disallowed: bool = False


def gather(
    reported: Reported, patience: Patience, complain: Complain = lambda _: None
) -> tuple[HandlerStatus, ...]:
    """All records of a handler; none when nothing was ever said of it.

    ``complain`` hears of statuses that had to be substituted or cut. Raises ``ExtensionError``
    when the handler's own status cannot be read.
    """
    handler, home = reported.handler, reported.home
    stored = read_stored_status(home)
    if stored is None:
        return ()
    state = read_state(home)
    alone = (_record(home, stored),)
    if state is HandlerState.NOT_INSTALLED and not (
        handler.is_multi_config or reported.is_disallowed
    ):
        return alone
    if state is not HandlerState.NOT_INSTALLED:
        stored = _with_heartbeat(reported, stored, patience)
        alone = (_record(home, stored),)
    records = tuple(
        replace(alone[0], extension=extension_status(handler, settings, home, patience, complain))
        for settings in handler.settings
        if not _is_gone(handler, settings, home)
    )
    return records or alone


def extension_status(
    handler: Handler,
    settings: Optional[Settings],
    home: HandlerHome,
    patience: Patience,
    complain: Complain = lambda _: None,
) -> Optional[ExtensionStatus]:
    """The status of one configuration; ``None`` where no sequence number says which file."""
    if settings is None:
        return None
    number = _sequence_number(handler, settings, home)
    if number is None:
        return None
    extension = extension_of(handler, settings)
    prefix = prefix_of(handler, replace(settings, sequence_number=number))
    subject = Subject(
        name=settings.name,
        extension_name=extension,
        sequence_number=number,
        item_name=item_name(handler, settings),
        version=home.version,
    )
    return read_extension_status(home.extension_status(prefix), subject, patience, complain)


def handlers_on_disk(paths: Paths) -> Iterable[Reported]:
    """What is reported for a goal state that we cannot carry out: whatever is here.

    A handler has several extensions when a settings file has more than a number before its
    suffix; the name may have dots of its own.
    """
    for home in homes_on_disk(paths):
        newest: dict[str, tuple[float, int, int]] = {}
        for path in home.config.glob("*.settings"):
            extension, _, word = path.name[: -len(".settings")].rpartition(".")
            number = parse_integer(word)
            with contextlib.suppress(OSError):
                if number is not None and number >= 0:
                    state = path.stat()
                    found = (state.st_mtime, number, state.st_size)
                    newest[extension] = max(found, newest.get(extension, found))
        names = sorted(name for name in newest if name)
        entries = [(name, newest[name][1]) for name in names]
        # An empty ``0.settings`` is that of a handler without settings.
        if not names and "" in newest and newest[""][2] > 0:
            entries = [(home.name, newest[""][1])]
        handler = Handler(
            name=home.name,
            version=home.version,
            state=RequestedState.ENABLED,
            settings=tuple(Settings(name, number) for name, number in entries),
            is_multi_config=bool(names),
        )
        yield Reported(handler, home)


def _record(home: HandlerHome, stored: StoredStatus) -> HandlerStatus:
    return HandlerStatus(home.name, home.version, stored.status, stored.code, stored.message)


def _is_gone(handler: Handler, settings: Settings, home: HandlerHome) -> bool:
    """An extension among several that is not wanted and was disabled is not reported."""
    return (
        handler.is_multi_config
        and settings.state is RequestedState.DISABLED
        and not is_extension_enabled(home, settings.name)
    )


def _sequence_number(handler: Handler, settings: Settings, home: HandlerHome) -> Optional[int]:
    """The goal state's number, else that of the newest settings file of a handler of one."""
    word = settings.sequence_number
    number = word if isinstance(word, int) else parse_integer(word)
    if number is not None:
        return number if number >= 0 else None
    if handler.is_multi_config:
        return None
    found: list[tuple[float, int]] = []
    for path in home.config.glob("*.settings"):
        candidate = parse_integer(path.name[: -len(".settings")])
        if candidate is not None and candidate >= 0:
            found.append((path.stat().st_mtime, candidate))
    return max(found)[1] if found else None


def _with_heartbeat(reported: Reported, stored: StoredStatus, patience: Patience) -> StoredStatus:
    """The stored status as the heartbeat changes it.

    That there is no heartbeat is stored, and shows from the next report on (EXT App. E 7).
    """
    home = reported.home
    try:
        if not read_handler_manifest(home).reports_heartbeat:
            return stored
    except AgentError as error:
        log.debug("No heartbeat of %s is looked for: %s", home.full_name, describe(error))
        return stored
    try:
        beat = read_heartbeat(home, patience.now())
    except ExtensionError as error:
        silent = StoredStatus(NOT_READY, int(ExtensionCode.UNKNOWN), error.for_fabric())
        # Told once: an idle machine whose handler stays silent leaves the disk alone.
        if not reported.is_disallowed and silent != stored:
            write_stored_status(home, silent, is_multi_config=reported.handler.is_multi_config)
        return stored
    if not reported.is_disallowed:
        message = stored.message if beat.message is None else beat.message
        return replace(stored, status=beat.status, message=message)
    if beat.message is None:
        return stored
    lead = f"{stored.message}{_APPEND}" if stored.message else _ALONE
    return replace(stored, message=lead + beat.message)
