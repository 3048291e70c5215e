"""The folder where telemetry events wait for the collector: one file each, whole or not there.

Bounded: the oldest make room for the newest. What is lost is counted. Source: spec WIRE 8.6.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from waagent.core import files
from waagent.core.clock import Clock
from waagent.core.errors import AgentError

SUFFIX = ".waagent.tld"
PARTIAL = ".tmp"
LIMIT = 1000
TRIES = 16


class Spool:
    """Writes event files, named by the microsecond; several processes share the folder."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._last_name = 0
        self._lost = 0

    @property
    def lost(self) -> int:
        """How many events were given up since somebody last asked with ``take_lost``."""
        return self._lost

    def take_lost(self) -> int:
        """That number, which starts again at zero."""
        with self._lock:
            lost, self._lost = self._lost, 0
        return lost

    def write(self, document: Mapping[str, Any]) -> None:
        """Add one event; never raises, since a full disk must not stop what is reported on."""
        text = json.dumps(document)
        with self._lock:
            try:
                files.ensure_directory(self._folder, mode=0o700)
                self._make_room()
                self._write(text)
            except (OSError, AgentError):
                self._lost += 1

    def _write(self, text: str) -> None:
        for _ in range(TRIES):
            name = self._next_name()
            final = self._folder / f"{name}{SUFFIX}"
            if final.exists():
                continue
            partial = self._folder / f"{name}{PARTIAL}"
            try:
                stream = partial.open("x", encoding="utf-8")
            except FileExistsError:
                continue  # another process writes in the same microsecond
            try:
                with stream:
                    stream.write(text)
                partial.replace(final)
            except OSError:
                files.remove(partial)
                raise
            return
        self._lost += 1

    def _make_room(self) -> None:
        names = [entry.name for entry in os.scandir(self._folder)]
        excess = len(names) - (LIMIT - 1)
        if excess <= 0:
            return
        for name in sorted(names)[:excess]:
            try:
                removed = files.remove(self._folder / name)
            except OSError:
                continue  # not a file: it stays, and one more of the others will go next time
            if removed and name.endswith(".tld"):
                self._lost += 1

    def _next_name(self) -> int:
        micros = int(self._clock.now().timestamp() * 1_000_000)
        self._last_name = max(micros, self._last_name + 1)
        return self._last_name
