"""Which status reports were announced, so that only a change of fortune is an event.

Status is reported every few seconds; without this each failure would be an event of its own.
Source: spec WIRE 7.6 (``event_status.json``).
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Optional

from waagent.core import files
from waagent.core.errors import AgentError

LIMIT = 1000


class StatusTransitions:
    """Remembers the last outcome for each name and version; on disk where a file is given."""

    def __init__(self, path: Optional[Path]) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._outcomes: Optional[dict[str, bool]] = None

    def changed(self, name: str, version: str, *, success: bool) -> bool:
        """Whether this outcome is the first or differs from the last; remembered from now on."""
        key = f"{name}-{version}-ReportStatus"
        with self._lock:
            outcomes = self._outcomes if self._outcomes is not None else self._read()
            self._outcomes = outcomes
            if outcomes.get(key) is success:
                return False
            if len(outcomes) >= LIMIT:
                outcomes.clear()
            outcomes[key] = success
            self._write(outcomes)
        return True

    def _read(self) -> dict[str, bool]:
        if self._path is None:
            return {}
        try:
            document = json.loads(files.read(self._path))
        except (OSError, ValueError, RecursionError, AgentError):
            return {}  # missing, or not ours: the next change writes it anew
        if not isinstance(document, dict):
            return {}
        return {key: value for key, value in document.items() if isinstance(value, bool)}

    def _write(self, outcomes: dict[str, bool]) -> None:
        if self._path is None:
            return
        try:
            files.write(self._path, json.dumps(outcomes))
        except OSError:
            return  # worth an event too many after a restart, not worth a failure
