"""Programs of the system that judge what init/ ships; one that is missing is no success."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import pytest

from tools.packaging.families import Family
from tools.packaging.staging import render_template

PROJECT = Path(__file__).resolve().parents[3]
INIT = PROJECT / "init"
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Outcome:
    """How a program ended."""

    code: int
    said: str


def require(program: str, package: str) -> str:
    """The whole path of a program; the test is skipped, which CI does not allow, without it."""
    found = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        pytest.skip(f"needs {program}; install the package {package}")
    return found


def run(*argv: str, environment: Optional[dict[str, str]] = None) -> Outcome:
    """Run a program to its end; what it said on both streams."""
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    return Outcome(done.returncode, done.stdout)


def render(name: str, family: Family) -> str:
    """A template of init/ as a family gets it."""
    return render_template((INIT / name).read_text("utf-8"), family)
