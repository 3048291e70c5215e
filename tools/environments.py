"""Virtual environments under .venv/, made when they are missing or when what they hold changes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tools.interpreters import Interpreter

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "tests" / "requirements"

# The oldest lxml and psutil were built for no Python from this one on.
TOO_NEW_FOR_THE_OLDEST = (3, 11)


@dataclass(frozen=True)
class Environment:
    """An interpreter with some of the requirement files installed."""

    name: str
    interpreter: Interpreter
    packages: str
    files: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where it lives."""
        return ROOT / ".venv" / self.name

    @property
    def python(self) -> Path:
        """Its own interpreter."""
        return self.folder / "bin" / "python"

    @property
    def title(self) -> str:
        """What it is, for people."""
        return f"{self.interpreter.name}, {self.packages} packages"

    @property
    def stamp(self) -> str:
        """Changes whenever the environment has to be made anew."""
        digest = hashlib.sha256(f"1 {ROOT} {self.interpreter}\n".encode())
        for name in self.files:
            digest.update((REQUIREMENTS / f"{name}.txt").read_bytes())
        return digest.hexdigest()

    def is_current(self) -> bool:
        """Whether it is there and holds what it should."""
        stamp = self.folder / "stamp"
        return stamp.is_file() and stamp.read_text(encoding="utf-8") == self.stamp

    def ensure(self) -> bool:
        """Make it unless it is current; says whether it was made."""
        if self.is_current():
            return False
        started = time.monotonic()
        print(f"Making .venv/{self.name}: {self.title}", flush=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        _run(str(self.interpreter.path), "-m", "venv", str(self.folder))
        wanted = [word for n in self.files for word in ("-r", str(REQUIREMENTS / f"{n}.txt"))]
        # Built by hand, old packages need setuptools and wheel, which new Pythons do not bring.
        self._pip("install", "setuptools<80", "wheel")
        self._pip("install", "--no-build-isolation", *wanted)
        # Compiled now, an old package's own syntax warnings cannot fail a test later.
        _run(str(self.python), "-W", "ignore", "-m", "compileall", "-q", str(self.folder / "lib"))
        (self.folder / "stamp").write_text(self.stamp, encoding="utf-8")
        print(f"Made .venv/{self.name} in {time.monotonic() - started:.0f} s", flush=True)
        return True

    def _pip(self, *words: str) -> None:
        _run(str(self.python), "-m", "pip", "--disable-pip-version-check", *words, "--quiet")


def _run(*argv: str) -> None:
    outside = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=outside, check=False
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        raise SystemExit(f"cannot run {' '.join(argv)}: it exited with {done.returncode}")


def choose_environments(found: list[Interpreter]) -> tuple[Environment, ...]:
    """The environments that a check needs, the one for development first."""
    if not found:
        raise SystemExit(
            "cannot find a Python from 3.9 on that has venv and pip; "
            "on Debian and Ubuntu install python3-venv"
        )
    oldest, newest = found[0], found[-1]
    chosen = [Environment("newest", newest, "current", ("current", "test", "lint"))]
    if oldest != newest:
        chosen.append(Environment("oldest", oldest, "current", ("current", "test")))
    if oldest.version < TOO_NEW_FOR_THE_OLDEST:
        chosen.append(Environment("floor", oldest, "oldest supported", ("oldest", "test")))
    return tuple(chosen)
