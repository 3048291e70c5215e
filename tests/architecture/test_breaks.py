"""The damages of tests/vm/breaks/ still change what they mean to; `make vm` finds them."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
BREAKS = sorted((CHECKOUT / "tests/vm/breaks").glob("*.sh"))
UNIT = "/lib/systemd/system/walinuxagent.service"


def test_there_are_breaks() -> None:
    assert len(BREAKS) >= 3


@pytest.mark.parametrize("path", BREAKS, ids=lambda path: path.stem)
def test_break_changes_the_file_that_it_names(path: Path) -> None:
    lines = [x for x in path.read_text(encoding="utf-8").splitlines() if x.startswith("change ")]
    assert lines
    for line in lines:
        _, name, expression = shlex.split(line)
        target = CHECKOUT / ("init/waagent.service.in" if name == UNIT else name)
        changed = subprocess.run(
            ["sed", expression, str(target)], capture_output=True, text=True, check=True
        ).stdout
        assert changed != target.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", BREAKS, ids=lambda path: path.stem)
def test_break_is_listed_for_people(path: Path) -> None:
    assert f"`{path.name}`" in (CHECKOUT / "docs/vm.md").read_text(encoding="utf-8")
