"""What is said about one handler: in the agent's log, in its CommandExecution.log, as events.

The extension's log gets every record under its name; it is cut when it has grown too large.
Source: spec EXT 3.5 (files), 0.5 (the prefix).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from waagent.core import files
from waagent.core import log as agent_log
from waagent.core.errors import GuestError, describe
from waagent.core.events import Events, Op

log = logging.getLogger(__name__)

MAX_LOG = 10 * 1024 * 1024


class Voice:
    """Speaks for one handler or extension: ``[<name>-<version>]`` before each record."""

    def __init__(self, events: Events, full_name: str, name: str, version: str) -> None:
        self._log = agent_log.Prefixed(log, f"[{full_name}]")
        self._events = events
        self._name = name
        self._version = version

    def info(self, message: str, *arguments: object) -> None:
        """Log."""
        self._log.info(message, *arguments)

    def warning(self, message: str, *arguments: object) -> None:
        """Log a warning."""
        self._log.warning(message, *arguments)

    def report(self, op: Op, message: str, *, duration_ms: int = 0) -> None:
        """Log, and send as an event of success."""
        self._log.info("%s", message)
        self._events.add(
            op, message, name=self._name, version=self._version, duration_ms=duration_ms
        )

    def complain(self, op: Op, message: str) -> None:
        """Log an error, and send it as a failed event."""
        self._log.error(
            "Event: name=%s, op=%s, message=%s, duration=0", self._name, op.value, message
        )
        self._events.add(
            op, message, success=False, name=self._name, version=self._version, quiet=True
        )


@contextlib.contextmanager
def recording(path: Optional[Path], name: str, *, verbose: bool) -> Iterator[None]:
    """While the block runs, what is said of any version of this item also goes to the file."""
    handler: Optional[logging.Handler] = None
    try:
        if path is not None:
            files.ensure_directory(path.parent)
            if path.is_symlink():  # an extension's own user may have the folder, and root follows
                log.warning("Remove %s: it is a link, and root would write to what it names", path)
                files.remove(path)
            _trim(path)
            handler = agent_log.add_file(path, prefix=None, verbose=verbose)
            handler.addFilter(lambda each: str(getattr(each, "prefix", "")).startswith(f"[{name}-"))
    except (OSError, GuestError) as error:
        log.warning("Cannot log to %s: %s", path, describe(error))
    try:
        yield
    finally:
        if handler is not None:
            agent_log.remove(handler)


def _trim(path: Path) -> None:
    """Of a log that is too large keep the end, from the start of a line."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return
    if size <= MAX_LOG:
        return
    with path.open("rb") as stream:
        stream.seek(size - MAX_LOG)
        stream.readline()
        kept = stream.read(MAX_LOG)
    files.rewrite(path, kept)
