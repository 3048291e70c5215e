"""A copy of the tree to build a package in, and the commands that build it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.packaging.version import PROJECT

# What a package is made from; nothing else of the checkout can get into one.
SOURCES = (
    "LICENSE",
    "Makefile",
    "README.md",
    "bin",
    "config",
    "docs",
    "init",
    "setup.py",
    "tools",
    "waagent",
)
DIST = PROJECT / "dist"


def copy_tree(target: Path) -> None:
    """Copy the sources into an empty folder."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in SOURCES:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=ignored)
        else:
            shutil.copy2(source, target / name)


def read_epoch() -> int:
    """When the sources are from: as the builder says, as git knows, or now."""
    said = os.environ.get("SOURCE_DATE_EPOCH", "")
    if said.isdigit():
        return int(said)
    asked = ("git", "-C", str(PROJECT), "log", "-1", "--format=%ct")
    if shutil.which("git"):
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip().isdigit():
            return int(done.stdout)
    return int(time.time())


def run(argv: Sequence[str], folder: Path, variables: Mapping[str, str]) -> str:
    """Run a step of a build; what it says is shown only if it fails."""
    done = subprocess.run(
        argv, cwd=folder, env={**os.environ, **variables}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{done.stdout}\ncannot run {' '.join(argv)}: code {done.returncode}")
    return done.stdout


def keep(package: Path, family: str) -> Path:
    """Copy a package to dist/, with the family in its name if it does not say it itself."""
    DIST.mkdir(exist_ok=True)
    name = package.name.replace(".noarch.", f".{family}.noarch.") if family else package.name
    return Path(shutil.copy2(package, DIST / name))
