"""No key and no certificate is ever readable for others, not even for the moment it is made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
FILES = 37  # 2 of our own, 3 of a goal state, and 12 keys and certificates; 20 while written


def watched(root: Path, *how: str) -> subprocess.CompletedProcess[str]:
    """Keys are made and certificates written while somebody looks; see ``watched_secrets``."""
    argv = [sys.executable, "-m", "tests.integration.watched_secrets", str(root), *how]
    return subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=False)


def test_no_secret_file_is_open_to_others_at_any_moment(tmp_path: Path) -> None:
    done = watched(tmp_path)
    assert (done.returncode, done.stderr.strip(), done.stdout.strip()) == (0, "", str(FILES))


def test_file_that_is_closed_a_moment_late_is_noticed(tmp_path: Path) -> None:
    """So that the other test means something."""
    done = watched(tmp_path, "carelessly")
    assert (done.returncode, done.stderr.strip()) == (1, "careless.prv 666")
