"""Programs of this machine that build images: run, and heard when they fail."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

LAST_LINES = 30


class BuildFailed(Exception):
    """An image could not be made; the message holds the end of what the program said."""


def run(
    *argv: str, log: Optional[Path] = None, environment: Optional[Mapping[str, str]] = None
) -> str:
    """Run a program to its end and return what it printed, which also goes to the end of `log`."""
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
        check=False,
    )
    if log is not None:
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"$ {' '.join(argv)[:300]}\n{done.stdout}")
    if done.returncode:
        said = "\n".join(done.stdout.splitlines()[-LAST_LINES:])
        raise BuildFailed(f"cannot run {argv[0]}: it exited with {done.returncode}\n{said}")
    return done.stdout
