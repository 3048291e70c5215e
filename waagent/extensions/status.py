"""What extensions say of themselves: status files, read, checked and trimmed.

Whatever they hold, something valid is reported. Which of them are asked for is said in
``gather.py``. Source: spec EXT 4.1, 4.2, WIRE 7.3.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Callable, Optional

from waagent.core import files
from waagent.core.clock import Clock, Stop
from waagent.core.errors import AgentError, DocumentError, GuestError
from waagent.core.records import dataclass, replace
from waagent.core.remembered import remembered
from waagent.extensions.codes import ExtensionCode, StatusFault
from waagent.protocol.documents.json_fields import parse_json
from waagent.protocol.documents.status import Code, ExtensionStatus, Substatus

WORDS = ("transitioning", "warning", "error", "success")
TERMINAL = ("success", "error")
MAX_FILE = 4 * 1024 * 1024
MAX_SIZE = 131072
MAX_MESSAGE = 1024
MAX_SUBSTATUS = 10240
MAX_SUBSTATUSES = 1000
TRUNCATED = " ... [TRUNCATED]"
ATTEMPTS = 5
ATTEMPT_EVERY_S = 2.0
LAST_ATTEMPT_S = 0.5
_SETTLED_S = 10.0
_LARGEST_CODE = 2**63

Complain = Callable[[str], None]


@dataclass(frozen=True)
class Subject:
    """Whose status is read: names as messages and records have them, and the sequence number."""

    name: str
    extension_name: Optional[str]
    sequence_number: int
    item_name: str
    version: str

    @property
    def full_name(self) -> str:
        """``Handler[.Extension]-Version``."""
        return f"{self.item_name}-{self.version}"


class Patience:
    """With files that are half written: for all of one report together, until told to stop.

    Extensions that always write would hold up the report of all others. When the time is used up
    a file still gets a short moment of its own.
    """

    def __init__(self, clock: Clock, stop: Optional[Stop] = None) -> None:
        self._clock = clock
        self._stop = stop
        self._left = ATTEMPTS - 1

    def now(self) -> datetime:
        """The wall time, which files have too."""
        return self._clock.now()

    def wait(self, *, is_first: bool) -> bool:
        """Wait for a file, the first time or again; whether it is to be read once more."""
        if self._left > 0:
            self._left -= 1
            return not self._clock.wait(self._stop, ATTEMPT_EVERY_S)
        return is_first and not self._clock.wait(self._stop, LAST_ATTEMPT_S)


def read_extension_status(
    path: Path, subject: Subject, patience: Patience, complain: Complain = lambda _: None
) -> ExtensionStatus:
    """The status of an extension, or what is reported in its place; never fails.

    ``complain`` hears of what cannot be used, and of what is cut.
    """
    try:
        status, size = _read_settled(path, subject, patience)
    except (OSError, AgentError) as error:
        word, code, message = _in_its_place(error, path, subject)
        complain(message)
        read = error.read if isinstance(error, FaultInside) else _blank(subject)
        return replace(read, status=word, code=int(code), message=plain_text(message))
    if size > MAX_SIZE:
        complain(
            f"The status of the extension {subject.full_name}(Sequence number"
            f" {subject.sequence_number}) is over {MAX_SIZE} characters: its texts are cut"
        )
    return status


@remembered(32)
def parse_extension_status(data: bytes, subject: Subject) -> ExtensionStatus:
    """A status file's content; raises ``DocumentError`` (no JSON) or ``StatusFault``."""
    text = data.decode("utf-8", "backslashreplace")
    try:
        document = parse_json(data, "the status file")
    except DocumentError as error:
        raise DocumentError(f"{error}: {text[:2000]}") from None
    blank = _blank(subject)
    if document is None or document == []:
        return blank
    if not isinstance(document, list):
        raise StatusFault(f"The extension status must be an array: {text[:4096]}")
    body = document[0].get("status") if isinstance(document[0], dict) else None
    if not isinstance(body, dict):
        raise StatusFault("Invalid status format by extension: Missing status key")
    word = body.get("status")
    if word is None:
        raise StatusFault("Invalid status format by extension: Missing status/status key")
    status = replace(
        blank,
        status=word if word in WORDS else "error",
        code=_code(body.get("code")),
        operation=maybe_text(body.get("operation")),
        configuration_applied_time=maybe_text(body.get("configurationAppliedTime")),
    )
    substatuses: list[Substatus] = []
    try:
        status = replace(status, message=_message(body.get("formattedMessage")))
        for item in _items(body.get("substatus")):
            substatuses.append(_substatus(item))
    except StatusFault as fault:
        read = replace(status, substatus=tuple(substatuses))
        raise FaultInside(fault.message, _trim(read) if len(text) > MAX_SIZE else read) from None
    status = replace(status, substatus=tuple(substatuses))
    return _trim(status) if len(text) > MAX_SIZE else status


class FaultInside(StatusFault):
    """A fault of a part of a status; what was read before it is reported too (WIRE 7.3)."""

    def __init__(self, message: str, read: ExtensionStatus) -> None:
        super().__init__(message)
        self.read = read


def is_terminal(status: ExtensionStatus) -> bool:
    """Whether an extension has come to an end, a good or a bad one."""
    return status.status in TERMINAL


def _blank(subject: Subject) -> ExtensionStatus:
    return ExtensionStatus(
        subject.name, subject.extension_name, subject.sequence_number, status=None
    )


def _read_settled(path: Path, subject: Subject, patience: Patience) -> tuple[ExtensionStatus, int]:
    """The status and the file's size; no JSON that was just written is read again a few times.

    Extensions write in place. A file that has been wrong for longer will not become right.
    """
    is_first = True
    while True:
        try:
            data = read_regular(path, within=path.parent.parent)
            return parse_extension_status(data, subject), _characters(data)
        except FileNotFoundError:
            raise
        except (DocumentError, OSError):
            if not _is_fresh(path, patience.now()) or not patience.wait(is_first=is_first):
                raise
        is_first = False


def _characters(data: bytes) -> int:
    """How many they are, as far as that matters."""
    return len(data) if len(data) <= MAX_SIZE else len(data.decode("utf-8", "backslashreplace"))


def read_regular(path: Path, *, within: Path) -> bytes:
    """The bytes of a file that is one: reading a pipe or a device might never end.

    A link is followed within the handler's folder only: a part of what is no status is reported,
    and no other file of the machine may get to the portal so.
    """
    if path.is_symlink():
        target = os.path.realpath(path)
        if not target.startswith(f"{os.path.realpath(within)}/"):
            raise GuestError(f'cannot read "{path}": it is a link out of the handler\'s folder')
    if path.exists() and not path.is_file():
        raise GuestError(f'cannot read "{path}": it is no regular file')
    return files.read(path, limit=MAX_FILE)


def _is_fresh(path: Path, now: datetime) -> bool:
    with contextlib.suppress(OSError):
        return abs(now.timestamp() - path.stat().st_mtime) < _SETTLED_S
    return False


def _in_its_place(error: Exception, path: Path, subject: Subject) -> tuple[str, int, str]:
    """Status, code and message of a status that cannot be used (spec EXT 4.2)."""
    number = subject.sequence_number
    if isinstance(error, FileNotFoundError):
        message = (
            "This status is being reported by the Guest Agent since no status file was reported by"
            f" extension {subject.item_name}: [ExtensionStatusError] Status file {path} does not"
            " exist"
        )
        return "transitioning", ExtensionCode.SUCCESS, message
    if isinstance(error, DocumentError):
        message = (
            f"The status reported by the extension {subject.full_name}(Sequence number {number}),"
            " was in an incorrect format and the agent could not parse it correctly. Failed due"
            f" to {error}"
        )
        return "error", ExtensionCode.STATUS_INVALID, message
    if isinstance(error, StatusFault):
        message = (
            f"Could not get a valid status from the extension {subject.full_name}. Encountered"
            f" the following error: {error.for_fabric()}"
        )
        return "error", ExtensionCode.STATUS_INVALID, message
    message = (
        f"We couldn't read any status for {subject.full_name} extension, for the sequence number"
        f" {number}. It failed due to {error}"
    )
    return "error", ExtensionCode.UNKNOWN, message


def _items(value: Any) -> Iterator[Any]:
    if value is None:
        return
    if not isinstance(value, list):
        raise StatusFault("Invalid status format by extension: substatus is no array")
    yield from (item for item in value if item is not None)


def _substatus(item: Any) -> Substatus:
    word = item.get("status") if isinstance(item, dict) else None
    if word is None:
        raise StatusFault("Invalid status format by extension: Missing substatus status key")
    if word not in WORDS:
        raise StatusFault(f"Invalid status format by extension: substatus status is {word!r}")
    return Substatus(
        name=maybe_text(item.get("name")),
        status=word,
        code=_code(item.get("code")),
        message=_message(item.get("formattedMessage")),
    )


def _message(formatted: Any) -> Optional[str]:
    if formatted is None:
        return None
    if not isinstance(formatted, dict) or "lang" not in formatted or "message" not in formatted:
        raise StatusFault(
            "Invalid status format by extension: formattedMessage needs lang, message"
        )
    return maybe_text(formatted["message"])


def maybe_text(value: Any) -> Optional[str]:
    """Text that every JSON reader takes: half characters are replaced, other types spelled."""
    return None if value is None else plain_text(value)


def plain_text(value: Any) -> str:
    """The same of something that is there."""
    text = value if isinstance(value, str) else str(value)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _code(value: Any) -> Code:
    if value is None:
        return 0
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value if abs(value) < _LARGEST_CODE else 0
    if isinstance(value, float):
        return value if math.isfinite(value) else 0
    return maybe_text(value)


def _trim(status: ExtensionStatus) -> ExtensionStatus:
    """Cut an oversized status to what the service takes (spec WIRE 7.3).

    What counts there is texts alone, and the substatuses of a file could be any number.
    """
    message = _cut(status.message, MAX_MESSAGE)
    size = len(message or "")
    kept: list[Substatus] = []
    for item in status.substatus[:MAX_SUBSTATUSES]:
        name, text = _cut(item.name, MAX_SUBSTATUS), _cut(item.message, MAX_SUBSTATUS)
        size += len(name or "") + len(text or "")
        if size > MAX_SIZE:
            break
        kept.append(replace(item, name=name, message=text))
    return replace(status, message=message, substatus=tuple(kept))


def _cut(text: Optional[str], limit: int) -> Optional[str]:
    return text if text is None or len(text) < limit else text[:limit] + TRUNCATED
