"""What extensions say of themselves: status files and heartbeats, read, checked and trimmed.

Whatever they hold, something valid is reported. Which of them are asked for is said in
``gather.py``. Source: spec EXT 4.1 to 4.4, WIRE 7.3.
"""

from __future__ import annotations

import contextlib
import math
from datetime import datetime
from pathlib import Path
from typing import Any, Callable, Optional

from waagent.core import files
from waagent.core.clock import Clock
from waagent.core.errors import AgentError, DocumentError, GuestError
from waagent.core.records import dataclass, replace
from waagent.core.remembered import remembered
from waagent.extensions.codes import ExtensionCode, ExtensionError, StatusFault
from waagent.extensions.home import HandlerHome
from waagent.protocol.documents.json_fields import parse_json
from waagent.protocol.documents.status import UNRESPONSIVE, Code, ExtensionStatus, Substatus

WORDS = ("transitioning", "warning", "error", "success")
TERMINAL = ("success", "error")
MAX_FILE = 16 * 1024 * 1024
MAX_SIZE = 131072
MAX_MESSAGE = 1024
MAX_SUBSTATUS = 10240
MAX_SUBSTATUSES = 10_000
TRUNCATED = " ... [TRUNCATED]"
ATTEMPTS = 5
ATTEMPT_EVERY_S = 2.0
HEARTBEAT_TOO_OLD_S = 600.0
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


def read_extension_status(
    path: Path, subject: Subject, clock: Clock, complain: Optional[Complain] = None
) -> ExtensionStatus:
    """The status of an extension, or what is reported in its place; never fails."""
    try:
        return parse_extension_status(_read_settled(path, clock), subject)
    except (OSError, AgentError) as error:
        word, code, message = _in_its_place(error, path, subject)
    if complain is not None:
        complain(message)
    return ExtensionStatus(
        subject.name,
        subject.extension_name,
        subject.sequence_number,
        status=word,
        code=int(code),
        message=_plain(message),
    )


@remembered(32)
def parse_extension_status(data: bytes, subject: Subject) -> ExtensionStatus:
    """A status file's content; raises ``DocumentError`` (no JSON) or ``StatusFault``."""
    text = data.decode("utf-8", "backslashreplace")
    try:
        document = parse_json(data, "the status file")
    except DocumentError as error:
        raise DocumentError(f"{error}: {text[:2000]}") from None
    blank = ExtensionStatus(
        subject.name, subject.extension_name, subject.sequence_number, status=None
    )
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
        operation=_text(body.get("operation")),
        configuration_applied_time=_text(body.get("configurationAppliedTime")),
        message=_message(body.get("formattedMessage")),
        substatus=_substatuses(body.get("substatus")),
    )
    return _trim(status) if len(text) > MAX_SIZE else status


def is_terminal(status: ExtensionStatus) -> bool:
    """Whether an extension has come to an end, a good or a bad one."""
    return status.status in TERMINAL


@dataclass(frozen=True)
class Heartbeat:
    """What a heartbeat says; a ``None`` message leaves the handler's own."""

    status: str
    message: Optional[str] = None


def read_heartbeat(home: HandlerHome, now: datetime) -> Heartbeat:
    """The handler's heartbeat; raises ``ExtensionError`` when there is none to be read."""
    try:
        age_s = now.timestamp() - home.heartbeat.stat().st_mtime
        if age_s > HEARTBEAT_TOO_OLD_S:
            return Heartbeat(UNRESPONSIVE)
        data = _read_regular(home.heartbeat)
    except FileNotFoundError as error:
        raise ExtensionError("Failed to get heart beat file") from error
    except (OSError, GuestError) as error:
        raise ExtensionError(f"Failed to get heartbeat file:{error}") from error
    try:
        document = parse_json(data, "the heartbeat")
    except DocumentError as error:
        raise ExtensionError(f"Malformed heartbeat file: {error}") from error
    first = document[0] if isinstance(document, list) and document else None
    beat = first.get("heartbeat") if isinstance(first, dict) else None
    if not isinstance(beat, dict) or beat.get("status") is None:
        raise ExtensionError("Malformed heartbeat file: it has no heartbeat with a status")
    formatted = beat.get("formattedMessage")
    message = formatted.get("message") if isinstance(formatted, dict) else None
    return Heartbeat(_plain(beat["status"]), _text(message))


def _read_settled(path: Path, clock: Clock) -> bytes:
    """The file's bytes; one that is no JSON and was just written is read again a few times.

    Extensions write in place. A file that has been wrong for longer will not become right.
    """
    for attempt in range(ATTEMPTS):
        last = attempt == ATTEMPTS - 1
        try:
            data = _read_regular(path)
            parse_json(data, "the status file")
            return data
        except FileNotFoundError:
            raise
        except DocumentError:
            if last or not _is_fresh(path, clock.now()):
                return data
        except OSError:
            if last or not _is_fresh(path, clock.now()):
                raise
        clock.wait(None, ATTEMPT_EVERY_S)
    raise StatusFault(f"cannot read {path}")


def _read_regular(path: Path) -> bytes:
    """The bytes of a file that is one: reading a pipe or a device might never end."""
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


def _substatuses(value: Any) -> tuple[Substatus, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise StatusFault("Invalid status format by extension: substatus is no array")
    return tuple(_substatus(item) for item in value[:MAX_SUBSTATUSES] if item is not None)


def _substatus(item: Any) -> Substatus:
    word = item.get("status") if isinstance(item, dict) else None
    if word is None:
        raise StatusFault("Invalid status format by extension: Missing substatus status key")
    if word not in WORDS:
        raise StatusFault(f"Invalid status format by extension: substatus status is {word!r}")
    return Substatus(
        name=_text(item.get("name")),
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
    return _text(formatted["message"])


def _text(value: Any) -> Optional[str]:
    """Text that every JSON reader takes: half characters are replaced, other types spelled."""
    return None if value is None else _plain(value)


def _plain(value: Any) -> str:
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
    return _text(value)


def _trim(status: ExtensionStatus) -> ExtensionStatus:
    """Cut an oversized status to what the service takes (spec WIRE 7.3)."""
    message = _cut(status.message, MAX_MESSAGE)
    size = len(message or "")
    kept: list[Substatus] = []
    for item in status.substatus:
        name, text = _cut(item.name, MAX_SUBSTATUS), _cut(item.message, MAX_SUBSTATUS)
        size += len(name or "") + len(text or "")
        if size > MAX_SIZE:
            break
        kept.append(replace(item, name=name, message=text))
    return replace(status, message=message, substatus=tuple(kept))


def _cut(text: Optional[str], limit: int) -> Optional[str]:
    return text if text is None or len(text) < limit else text[:limit] + TRUNCATED
