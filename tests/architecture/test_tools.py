"""The linters as tests, so that plain pytest is never greener than CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.architecture.source import ROOT

LINTED = ("waagent", "tests", "tools", "setup.py", "bin/waagent")


def run_tool(*argv: str) -> None:
    """Run a tool of this environment; a tool that is missing fails like one that complains."""
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout}{done.stderr}"


def run_module(*words: str) -> None:
    """Run a Python module of this environment."""
    run_tool(sys.executable, "-m", *words)


def test_ruff_finds_nothing() -> None:
    """Style and the banned calls of the design."""
    run_module("ruff", "check", *LINTED)


def test_ruff_would_format_nothing() -> None:
    """One layout, whoever wrote it."""
    run_module("ruff", "format", "--check", *LINTED)


def test_mypy_finds_nothing_when_strict() -> None:
    """Types, tests too."""
    run_module("mypy", "-p", "waagent", "-p", "tests", "-p", "tools")


def test_imports_run_down_the_floors_only() -> None:
    """The import contracts of pyproject.toml."""
    command = Path(sys.executable).parent / "lint-imports"
    assert os.access(command, os.X_OK), f"{command} is missing: install import-linter"
    run_tool(str(command))
