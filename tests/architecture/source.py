"""The project's own source as trees, for the tests that hold rules against it."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Union

ROOT = Path(__file__).resolve().parents[2]
Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]


@dataclass(frozen=True)
class Source:
    """One Python file."""

    path: Path

    @property
    def name(self) -> str:
        """Its path in the project."""
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        """What it says."""
        return _read(self.path)

    @property
    def tree(self) -> ast.Module:
        """What it means."""
        return _parse(self.path)

    def functions(self) -> Iterable[Function]:
        """Every function and method."""
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield node

    def classes(self) -> Iterable[ast.ClassDef]:
        """Every class."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ClassDef):
                yield node


@cache
def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(_read(path), str(path))


def sources(*folders: str) -> list[Source]:
    """Every Python file below some folders of the project."""
    found = (p for folder in folders for p in sorted((ROOT / folder).rglob("*.py")))
    return [Source(p) for p in found if "data" not in p.relative_to(ROOT).parts]


def everything() -> list[Source]:
    """Every Python file of the project."""
    return [*sources("waagent", "tests", "tools"), Source(ROOT / "setup.py")]


def documents() -> list[Path]:
    """Every text that people read."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
