"""Which Python interpreters this machine has, oldest and newest of those the agent supports."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

OLDEST_SUPPORTED = (3, 9)
_NAME = re.compile(r"python3(\.\d+)?")
_ASK = "import sys, venv, ensurepip; print('.'.join(map(str, sys.version_info[:3])))"


@dataclass(frozen=True)
class Interpreter:
    """A Python that can make virtual environments."""

    path: Path
    version: tuple[int, ...]

    @property
    def name(self) -> str:
        """As people write it: `Python 3.9.18`."""
        return "Python " + ".".join(map(str, self.version))


def candidates(environment: Mapping[str, str]) -> Iterable[Path]:
    """Programs that may be a Python 3: those on the PATH, and those that pyenv keeps."""
    for folder in environment.get("PATH", "").split(":"):
        # pyenv's shims are shell scripts for what is listed below anyway.
        if folder and Path(folder).is_dir() and Path(folder).name != "shims":
            yield from sorted(p for p in Path(folder).iterdir() if _NAME.fullmatch(p.name))
    pyenv = Path(environment.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob("versions/*/bin/python3"))


def ask(path: Path) -> Interpreter | None:
    """What a program is; None when it is no Python, or one without venv and pip."""
    try:
        answer = subprocess.run(
            [str(path), "-c", _ASK], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if answer.returncode or not re.fullmatch(r"\d+\.\d+\.\d+\s*", answer.stdout):
        return None
    return Interpreter(path, tuple(map(int, answer.stdout.strip().split("."))))


def find_interpreters() -> list[Interpreter]:
    """Every supported interpreter, one for each version, the oldest first."""
    found: dict[tuple[int, ...], Interpreter] = {}
    for path in dict.fromkeys(candidates(os.environ)):
        interpreter = ask(path)
        if interpreter and interpreter.version >= OLDEST_SUPPORTED:
            found.setdefault(interpreter.version, interpreter)
    return [found[version] for version in sorted(found)]
