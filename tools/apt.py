"""Programs that a tool needs, installed with apt where they are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

INSTALL = ("apt-get", "install", "-y", "-qq", "--no-install-recommends")


def ensure_programs(needed: Mapping[str, str], purpose: str) -> None:
    """Have every program of a table of programs and Debian's packages, or say what is missing."""
    missing = sorted({package for name, package in needed.items() if shutil.which(name) is None})
    if not missing:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise SystemExit(f"cannot {purpose}: install what Debian has as {', '.join(missing)}")
    print(f"Installing {', '.join(missing)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for argv in (("apt-get", "update", "-qq"), (*INSTALL, *missing)):
        done = subprocess.run(
            argv, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"cannot run {' '.join(argv)}:\n{done.stdout}{done.stderr}")
