"""The agent's log: one exact line format, redacted, to standard output, file and console.

Rooms use the standard ``logging`` module; this one only says how records look and where they go.
Source: spec CLI 4.1 (format), 4.2 (sinks), 4.5 (redaction).
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import stat
import sys
from collections.abc import MutableMapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, TextIO

from waagent.core import streams
from waagent.core.clock import Clock, timestamp
from waagent.core.redact import redact

LEVELS = {logging.DEBUG: "VERBOSE", logging.INFO: "INFO", logging.WARNING: "WARNING"}
PRIORITIES = {"VERBOSE": 7, "INFO": 6, "WARNING": 4, "ERROR": 3}  # sd-daemon(3)
ROOT = "waagent"
MAX_MESSAGE = 64 * 1024
MAX_FILE = 64 * 1024 * 1024

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# What could move a console's cursor or forge a line's end; new lines and tabs stay.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
    _Stream = logging.StreamHandler[TextIO]
else:  # not subscriptable before 3.11
    _Adapter = logging.LoggerAdapter
    _Stream = logging.StreamHandler


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
        thread = (record.threadName or "").replace(" ", "_")  # whoever parses it counts on words
        head = " ".join(part for part in (timestamp(moment), level, thread, prefix) if part)
        message = redact(_message(record))
        if record.exc_info:
            message = f"{message}\n{redact(self.formatException(record.exc_info))}"
        if len(message) > MAX_MESSAGE:
            message = f"{message[:MAX_MESSAGE]}... [{len(message) - MAX_MESSAGE} more]"
        line = _printable(f"{head} {message}")
        if self._priorities:
            mark = f"<{PRIORITIES[level]}>"
            line = "\n".join(mark + part for part in line.split("\n"))
        return line


class ReopeningFileHandler(logging.Handler):
    """Appends to a file that is opened for each record, so that rotation needs no signal.

    A record is one write, so that those of two processes do not mix. What cannot be written is
    lost without a word: a full disk or a console that hangs must not stop the agent. Where nothing
    else rotates it, a file that reaches ``MAX_FILE`` becomes ``<name>.1``.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        """Append the record."""
        line = (self.format(record) + "\n").encode("ascii")
        with contextlib.suppress(OSError):
            descriptor = os.open(self._path, _APPEND, 0o644)
            try:
                os.write(descriptor, line)
                state = os.fstat(descriptor)
                if stat.S_ISREG(state.st_mode) and state.st_size >= MAX_FILE:
                    self._rotate(state)
            finally:
                os.close(descriptor)

    def _rotate(self, full: os.stat_result) -> None:
        now = self._path.stat()
        if (now.st_dev, now.st_ino) == (full.st_dev, full.st_ino):  # nobody else has done it
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))


class QuietStream(_Stream):
    """Writes to standard output; what cannot be written is lost without a word."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002 - logging's
        """Say nothing: the complaint would go where the record could not.

        Where whoever read it is gone, what waits to be written must not fail once more at the end.
        """
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            with contextlib.suppress(OSError, ValueError):
                streams.lead_nowhere(self.stream.fileno())


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
        stream = QuietStream(sys.stdout)
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


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, LookupError):  # a wrong call must not end what it tells of
        return f"{record.msg} {record.args}"


def _printable(text: str) -> str:
    text = text.replace("\r\n", "\n").encode("ascii", "backslashreplace").decode("ascii")
    return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", text)
