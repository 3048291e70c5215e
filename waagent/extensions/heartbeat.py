"""What a handler says of being alive: its heartbeat file (spec EXT 4.4).

What is reported when it says nothing is decided in ``gather.py``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Optional

from waagent.core.errors import DocumentError, GuestError
from waagent.core.records import dataclass
from waagent.extensions.codes import ExtensionError
from waagent.extensions.home import HandlerHome
from waagent.extensions.status import maybe_text, plain_text, read_regular
from waagent.protocol.documents.json_fields import parse_json
from waagent.protocol.documents.status import UNRESPONSIVE

HEARTBEAT_TOO_OLD_S = 600.0


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
        data = read_regular(home.heartbeat, within=home.folder)
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
    return Heartbeat(plain_text(beat["status"]), maybe_text(message))
