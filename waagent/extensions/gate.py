"""A command is started, waits until it is on record, and then runs.

An agent that is killed in between has started nothing: the next one would not know of a command
that is not on record, and would run it a second time beside itself.
"""

from __future__ import annotations

import contextlib
import os
from typing import IO

# The shell becomes the one that runs the line: the same process, with the words it always had.
_WAIT = 'read -r _waagent_gate && exec /bin/sh -c "$0" </dev/null'


class Gate:
    """Closed until it is opened; that the agent has ended leaves it closed for good."""

    def __init__(self) -> None:
        reader, self._writer = os.pipe()
        self.stdin: IO[bytes] = os.fdopen(reader, "rb", buffering=0)

    def argv(self, line: str) -> tuple[str, ...]:
        """How to start a shell line behind the gate, which is its standard input."""
        return "/bin/sh", "-c", _WAIT, line

    def open(self) -> None:
        """Let the line run; one that was killed meanwhile is no error."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._writer, b"go\n")
        self.close()

    def close(self) -> None:
        """Whoever still waits at it ends; also after ``open``."""
        self.stdin.close()
        if self._writer >= 0:
            os.close(self._writer)
            self._writer = -1
