"""What the boot helper is doing, told to the daemon: systemd listens to its main process only.

The helper's own log is what it says, so that no step has to be announced twice.
"""

from __future__ import annotations

import contextlib
import logging
import os
from typing import Callable, Optional

from waagent.core import log

LONGEST = 300
_LARGEST_READ = 64 * 1024  # as much as a pipe holds


class Phases:
    """A pipe from the helper; made before it is forked."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._open = {self._reader, self._writer}
        self._is_over = False

    def told_by(self, work: Callable[[], int]) -> Callable[[], int]:
        """The work, for the helper: what it logs is told to whoever made this."""

        def tell_and_work() -> int:
            self._close(self._reader)
            logging.getLogger(log.ROOT).addHandler(_Teller(self._writer))
            return work()

        return tell_and_work

    def listen(self) -> None:
        """The helper is forked: the end that speaks is its alone from now on."""
        self._close(self._writer)

    def descriptors(self) -> tuple[int, ...]:
        """What becomes readable when the helper says something; nothing once it is gone."""
        return () if self._is_over else (self._reader,)

    def read_last(self) -> Optional[str]:
        """The last thing that was said since this was asked, or ``None``."""
        try:
            said = os.read(self._reader, _LARGEST_READ)
        except BlockingIOError:
            return None
        self._is_over = not said
        lines = said.decode("ascii", "replace").splitlines()
        return lines[-1] if lines else None

    def close(self) -> None:
        """Listen no more."""
        for descriptor in tuple(self._open):
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        os.close(descriptor)
        self._open.discard(descriptor)


class _Teller(logging.Handler):
    """Writes each record's text as one short line; what the pipe does not take is lost."""

    def __init__(self, writer: int) -> None:
        super().__init__(logging.INFO)
        self._writer = writer
        self._formatter = log.LineFormatter(None)

    def emit(self, record: logging.LogRecord) -> None:
        """See ``logging.Handler``; secrets are taken out as for the log."""
        first = self._formatter.format(record).partition("\n")[0]
        text = first.split(" ", 3)[-1][:LONGEST]  # time, level and thread stand before it
        with contextlib.suppress(OSError):
            os.write(self._writer, f"{text}\n".encode("ascii"))
