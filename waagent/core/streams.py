"""Standard input, output and error: always open, so that no file of ours ever takes their place."""

from __future__ import annotations

import contextlib
import os
import sys

NOWHERE = "/dev/null"
_STREAMS = ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w"))


def ensure_open() -> None:
    """Put what leads nowhere in the place of each that is closed, for us and all that we start."""
    for number, name, mode in _STREAMS:
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):  # no /dev/null: as it was
                lead_nowhere(number)
                setattr(sys, name, os.fdopen(number, mode, closefd=False))


def lead_nowhere(number: int) -> None:
    """Have that descriptor write to nothing and read nothing from now on."""
    descriptor = os.open(NOWHERE, os.O_RDWR)
    if descriptor != number:
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.set_inheritable(number, True)


def flush() -> None:
    """Write what our standard streams still hold; what nobody takes is lost."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # gone, closed, never there
            stream.flush()
