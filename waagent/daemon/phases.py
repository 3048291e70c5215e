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

    def told_by(self, work: Callable[[], int]) -> Callable[[], int]:
        """The work, for the helper: what it logs is told to whoever made this."""

        def tell_and_work() -> int:
            os.close(self._reader)
            logging.getLogger(log.ROOT).addHandler(_Teller(self._writer))
            return work()

        return tell_and_work

    def listen(self) -> int:
        """Once the helper is forked: the descriptor that becomes readable when it says something.

        The end that speaks is the helper's alone from now on.
        """
        os.close(self._writer)
        return self._reader

    def read_last(self) -> Optional[str]:
        """The last thing that was said since this was asked, or ``None``."""
        said = b""
        with contextlib.suppress(BlockingIOError):
            said = os.read(self._reader, _LARGEST_READ)
        lines = said.decode("ascii", "replace").splitlines()
        return lines[-1] if lines else None

    def close(self) -> None:
        """Listen no more."""
        os.close(self._reader)


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
