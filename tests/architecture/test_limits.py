"""docs/limits.md says what the code does: each bound has the value that stands there."""

from __future__ import annotations

import ast
import importlib
import operator
import re
from collections.abc import Iterable
from typing import Union

import pytest

from tests.architecture.source import ROOT, sources

BOUND = re.compile(
    r"(MAX|LARGEST|LONGEST|MOST)(_[A-Z_]+)?|([A-Z_]+_)?(LIMIT|TRIES|ATTEMPTS|KEPT)"
    r"|([A-Z_]+_)?(WITHIN|PATIENCE|DEADLINE|TIMEOUT|GRACE|DYING|SLOWEST)_S"
)
ROW = re.compile(r"\| `([\w.]+)` \| `([\w.]+)` \| ([\d_.* ]+?) \| (.+?) \|")
ROWS = [
    match.groups()
    for match in map(ROW.match, (ROOT / "docs/limits.md").read_text("utf-8").splitlines())
    if match
]


def value_of(text: str) -> Union[int, float]:
    """A number, or a product of numbers."""
    result: Union[int, float] = 1
    for factor in text.split("*"):
        result = operator.mul(result, ast.literal_eval(factor.strip()))
    return result


def test_limits_are_many() -> None:
    """A page that could not be read would agree with anything."""
    assert len(ROWS) > 60


@pytest.mark.parametrize(("module", "name", "value", "why"), ROWS)
def test_limit_on_the_page_is_the_limit_in_the_code(
    module: str, name: str, value: str, why: str
) -> None:
    """And it has a reason."""
    found = operator.attrgetter(name)(importlib.import_module(f"waagent.{module}"))
    assert found == value_of(value)
    assert len(why) > 10


def named_bounds() -> Iterable[tuple[str, str]]:
    """Module and name of every public constant whose name says that it is a bound."""
    for source in sources("waagent"):
        module = source.name[len("waagent/") : -len(".py")].replace("/", ".")
        places = [("", source.tree.body), *((f"{c.name}.", c.body) for c in source.classes())]
        for prefix, body in places:
            for node in body:
                targets = node.targets if isinstance(node, ast.Assign) else []
                names = [each.id for each in targets if isinstance(each, ast.Name)]
                yield from ((module, prefix + name) for name in names if BOUND.fullmatch(name))


def test_bound_in_the_code_stands_on_the_page() -> None:
    """Whoever adds one says there why it has its value."""
    listed = {(module, name) for module, name, _, _ in ROWS}
    missing = sorted(set(named_bounds()) - listed)
    assert not missing, f"add a row to docs/limits.md for each of {missing}"


def test_no_bound_stands_on_the_page_twice() -> None:
    """Two reasons for one number are one too many."""
    places = [(module, name) for module, name, _, _ in ROWS]
    assert len(places) == len(set(places))
