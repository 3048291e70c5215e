"""docs/limits.md says what the code does: each bound has the value that stands there."""

from __future__ import annotations

import ast
import importlib
import operator
import re
from pathlib import Path
from typing import Union

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"\| `([\w.]+)` \| `(\w+)` \| ([\d_.* ]+?) \| (.+?) \|")
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
    assert getattr(importlib.import_module(f"waagent.{module}"), name) == value_of(value)
    assert len(why) > 10
