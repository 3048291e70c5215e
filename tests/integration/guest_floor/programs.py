"""What the checks on a copy of a machine ask the real programs of it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

PASSWORD = "Pä55 w:rd$"


def run(
    *argv: str, stdin: str = "", environment: Optional[Mapping[str, str]] = None
) -> subprocess.CompletedProcess[str]:
    """A command, however it ends."""
    return subprocess.run(
        argv, input=stdin, capture_output=True, text=True, check=False, env=environment
    )


def output(*argv: str, stdin: str = "") -> str:
    """What a command printed that must succeed."""
    done = run(*argv, stdin=stdin)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def shadow(name: str) -> list[str]:
    """The fields of an account in /etc/shadow."""
    lines = Path("/etc/shadow").read_text(encoding="utf-8").splitlines()
    return next(line.split(":") for line in lines if line.startswith(f"{name}:"))


def mode(path: str) -> int:
    """A file's permission bits."""
    return Path(path).stat().st_mode & 0o7777
