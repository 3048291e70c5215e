"""Limits on how large one thing may grow."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.source import Function, Source, everything

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_PUBLIC_METHODS = 12
MAX_POSITIONAL = 5

ALL = everything()


@pytest.fixture(params=ALL, ids=[s.name for s in ALL])
def source(request: pytest.FixtureRequest) -> Source:
    """One file after the other."""
    found = request.param
    assert isinstance(found, Source)
    return found


def positional(function: Function) -> int:
    """How many parameters can be given by position, self and cls apart."""
    named = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    return len([name for name in named if name not in ("self", "cls")])


def is_public_method(node: ast.stmt) -> bool:
    """Whether it is something that others call; a property or attribute is none."""
    return (
        isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and not node.name.startswith("_")
        and not any("property" in ast.dump(d) for d in node.decorator_list)
    )


def test_file_has_at_most_400_lines(source: Source) -> None:
    """A longer one holds a second noun."""
    assert len(source.text.splitlines()) <= MAX_FILE_LINES


def test_function_has_at_most_60_lines(source: Source) -> None:
    """A longer one does a second thing."""
    long = {
        f.name: (f.end_lineno or f.lineno) - f.lineno + 1
        for f in source.functions()
        if (f.end_lineno or f.lineno) - f.lineno + 1 > MAX_FUNCTION_LINES
    }
    assert not long


def test_class_has_at_most_12_public_methods(source: Source) -> None:
    """More is a second class."""
    wide = {
        c.name: count
        for c in source.classes()
        if not c.name.startswith("Test")
        and (count := len([n for n in c.body if is_public_method(n)])) > MAX_PUBLIC_METHODS
    }
    assert not wide


def test_function_has_at_most_5_positional_parameters(source: Source) -> None:
    """The rest is named by the caller."""
    wide = {f.name: positional(f) for f in source.functions() if positional(f) > MAX_POSITIONAL}
    assert not wide
