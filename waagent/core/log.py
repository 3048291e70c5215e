"""The agent's log: one exact line format, redacted, to standard output, file and console.

Rooms use the standard ``logging`` module; this one only says how records look and where they go.
Source: spec CLI 4.1 (format), 4.2 (sinks), 4.5 (redaction).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from waagent.core.clock import Clock, timestamp
from waagent.core.redact import redact

LEVELS = {logging.DEBUG: "VERBOSE", logging.INFO: "INFO", logging.WARNING: "WARNING"}
PRIORITIES = {"VERBOSE": 7, "INFO": 6, "WARNING": 4, "ERROR": 3}  # sd-daemon(3)
ROOT = "waagent"

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:  # not subscriptable before 3.11
    _Adapter = logging.LoggerAdapter


class LineFormatter(logging.Formatter):
    """``<UTC time> <LEVEL> <thread> [<prefix> ]<message>``, ASCII, without secrets."""

    def __init__(self, prefix: Optional[str], *, priorities: bool = False) -> None:
        super().__init__()
        self._prefix = prefix
        self._priorities = priorities

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line; a traceback, where asked for, follows on lines of its own."""
        level = LEVELS.get(record.levelno, "ERROR")
        prefix = getattr(record, "prefix", None) or self._prefix
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        head = " ".join(
            part for part in (timestamp(moment), level, record.threadName, prefix) if part
        )
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}\n{self.formatException(record.exc_info)}"
        line = f"{head} {redact(message)}".encode("ascii", "backslashreplace").decode("ascii")
        if self._priorities:
            mark = f"<{PRIORITIES[level]}>"
            line = "\n".join(mark + part for part in line.split("\n"))
        return line


class ReopeningFileHandler(logging.Handler):
    """Appends to a file that is opened for each record, so that rotation needs no signal.

    What cannot be written is lost without a word: a full disk must not stop the agent.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        """Append the record."""
        try:
            with self._path.open("a", encoding="ascii") as stream:
                stream.write(self.format(record) + "\n")
        except OSError:
            return


class Prefixed(_Adapter):
    """A logger that speaks for one extension: its name in brackets instead of the process's."""

    def __init__(self, logger: logging.Logger, prefix: str) -> None:
        super().__init__(logger, {"prefix": prefix})

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Put the prefix on the record."""
        kwargs["extra"] = {**(kwargs.get("extra") or {}), "prefix": (self.extra or {})["prefix"]}
        return msg, kwargs


class Quietly:
    """Says the same thing at most once in a period: a memory of texts, bounded."""

    LIMIT = 1000

    def __init__(self, clock: Clock, period_s: float = 3600.0) -> None:
        self._clock = clock
        self._period_s = period_s
        self._said: dict[str, float] = {}

    def may_say(self, text: str) -> bool:
        """Whether the text was not said within the period; if so it counts as said now."""
        now = self._clock.monotonic()
        last = self._said.get(text)
        if last is not None and now - last < self._period_s:
            return False
        if len(self._said) >= self.LIMIT:
            self._said.clear()
        self._said[text] = now
        return True


def set_up(
    *,
    prefix: Optional[str],
    verbose: bool,
    stdout: bool = True,
    priorities: bool = False,
) -> None:
    """Start logging for this process, to standard output until files are added."""
    root = logging.getLogger(ROOT)
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.setLevel(logging.DEBUG)
    root.propagate = False
    if stdout:
        stream = logging.StreamHandler(sys.stdout)
        _add(stream, LineFormatter(prefix, priorities=priorities), verbose=verbose)


def add_file(path: Path, *, prefix: Optional[str], verbose: bool) -> logging.Handler:
    """Also append to a file; returns the handler for ``remove``."""
    return _add(ReopeningFileHandler(path), LineFormatter(prefix), verbose=verbose)


def remove(handler: logging.Handler) -> None:
    """Stop writing to a sink."""
    logging.getLogger(ROOT).removeHandler(handler)


def _add(
    handler: logging.Handler, formatter: logging.Formatter, *, verbose: bool
) -> logging.Handler:
    handler.setLevel(logging.DEBUG if verbose else logging.INFO)
    handler.setFormatter(formatter)
    logging.getLogger(ROOT).addHandler(handler)
    return handler
