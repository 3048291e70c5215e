"""The lib dir: made for root alone, kept from others, and worked in.

Source: spec DAEMON 1.3, step 6.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from pathlib import Path

from waagent.core import files
from waagent.core.errors import GuestError, describe

log = logging.getLogger(__name__)

WRITE_OF_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def ensure(lib: Path) -> None:
    """Make the lib dir if it is missing, tighten one that others can write, and work in it.

    Raises ``GuestError`` that names it, and what to do.
    """
    try:
        files.ensure_directory(lib, mode=0o700)
        _tighten(lib)
        os.chdir(lib)
    except OSError as error:
        raise GuestError(f"cannot use the lib dir (Lib.Dir): {describe(error)}") from error
    log.info("Working in %s", lib)


def _tighten(lib: Path) -> None:
    """One that was there keeps its mode, but for what lets others put files in our way."""
    descriptor = os.open(lib, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        state = os.fstat(descriptor)
        if state.st_uid != os.geteuid():
            log.warning(
                "%s belonged to user %d, who could put files there; it is ours now, but look at"
                " what is in it",
                lib,
                state.st_uid,
            )
            os.fchown(descriptor, os.geteuid(), -1)
        mode = stat.S_IMODE(state.st_mode)
        if mode & WRITE_OF_OTHERS:
            log.warning(
                "%s could be written by others (mode %04o); it no longer can, but look at what is"
                " in it",
                lib,
                mode,
            )
            os.fchmod(descriptor, mode & ~WRITE_OF_OTHERS)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EPERM):
            raise
        log.warning("Cannot change who may write to %s: %s", lib, describe(error))
    finally:
        os.close(descriptor)
