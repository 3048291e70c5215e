"""The statuses that the agent itself writes: of a handler, and in place of a silent extension.

Source: spec EXT 4.5 (HandlerStatus) and 4.6 (placeholders).
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Optional

from waagent.core import files
from waagent.core.clock import timestamp_s
from waagent.core.errors import DocumentError, GuestError
from waagent.core.records import dataclass
from waagent.core.redact import redact
from waagent.core.remembered import remembered
from waagent.extensions.codes import ExtensionCode, ExtensionError
from waagent.extensions.home import HandlerHome
from waagent.protocol.documents.json_fields import Fields, parse_json
from waagent.protocol.documents.status import NOT_READY

_LONGEST = 1024 * 1024
_SCHEMA = 1.0
STORED = "HandlerStatus"


@dataclass(frozen=True)
class StoredStatus:
    """What was last said of a handler as a whole; a ``None`` message is left out of reports."""

    status: str = NOT_READY
    code: int = 0
    message: Optional[str] = ""


@dataclass(frozen=True)
class Placeholder:
    """An error that is reported for an extension which could not say anything itself."""

    name: str
    operation: Optional[str]
    message: str
    code: int = int(ExtensionCode.UNKNOWN)


def write_stored_status(home: HandlerHome, stored: StoredStatus, *, is_multi_config: bool) -> None:
    """Store the status; also for a handler that never got its package."""
    document = {
        "name": home.name,
        "version": home.version,
        "status": stored.status,
        "code": stored.code,
        "message": None if stored.message is None else redact(stored.message),
        "supports_multi_config": is_multi_config,
        "extension_status": None,
    }
    files.ensure_directory(home.config, mode=0o700)
    files.ensure_content(home.stored_status, json.dumps(document))


def read_stored_status(home: HandlerHome) -> Optional[StoredStatus]:
    """The stored status, ``None`` when there is none; raises ``ExtensionError`` if damaged."""
    try:
        data = files.read(home.stored_status, limit=_LONGEST)
    except FileNotFoundError:
        return None
    except (OSError, GuestError) as error:
        raise ExtensionError(f"cannot read {home.stored_status}: {error}") from error
    try:
        return parse_stored_status(data)
    except DocumentError as error:
        raise ExtensionError(f"{error} in {home.folder}") from error


@remembered(32)
def parse_stored_status(data: bytes) -> StoredStatus:
    """A stored status; raises ``DocumentError``."""
    fields = Fields(parse_json(data, STORED), STORED)
    code = fields.number("code") if fields.value("code") is not None else 0
    return StoredStatus(
        fields.maybe_text("status") or NOT_READY, code, fields.maybe_text("message")
    )


def write_placeholder(
    home: HandlerHome, prefix: str, placeholder: Placeholder, moment: datetime, *, overwrite: bool
) -> None:
    """Write a status file in the extension's place; an existing one stays unless told else."""
    path = home.extension_status(prefix)
    if path.exists() and not overwrite:
        return
    document = [
        {
            "version": _SCHEMA,
            "timestampUTC": timestamp_s(moment),
            "status": {
                "name": placeholder.name,
                "operation": placeholder.operation,
                "status": "error",
                "code": placeholder.code,
                "formattedMessage": {"lang": "en-US", "message": redact(placeholder.message)},
            },
        }
    ]
    files.ensure_directory(home.status, mode=0o700)
    files.write(path, json.dumps(document))
