"""docs/coverage.md has each item of the user's notes, and every test that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
ITEMS = range(1, 63)
OF_THE_MACHINE = range(1, 47)


def read_rows() -> dict[int, str]:
    """What shows each item: the third column."""
    text = (CHECKOUT / "docs/coverage.md").read_text(encoding="utf-8")
    rows = [
        line.strip("|").split("|") for line in text.splitlines() if re.match(r"\| \d+ \|", line)
    ]
    assert len({int(row[0]) for row in rows}) == len(rows), "an item is there twice"
    return {int(number): shown.strip() for number, _, shown in rows}


def test_coverage_has_every_item_once() -> None:
    assert sorted(read_rows()) == list(ITEMS)


def test_coverage_names_only_tests_that_exist() -> None:
    missing = []
    for number, shown in read_rows().items():
        for name in re.findall(r"`([\w/.]+\.py::\w+)`", shown):
            file, _, function = name.partition("::")
            path = CHECKOUT / "tests" / file
            if not path.is_file() or f"def {function}(" not in path.read_text(encoding="utf-8"):
                missing.append(f"{number}: {name}")
        for kind, name in re.findall(r"\b(vm|containers): (\w+)", shown):
            if not (CHECKOUT / "tests" / kind / "scenarios" / f"{name}.py").is_file():
                missing.append(f"{number}: {kind}: {name}")
    assert not missing, "\n".join(missing)


def test_coverage_of_the_machine_leaves_nothing_open() -> None:
    rows = read_rows()
    unshown = [n for n in OF_THE_MACHINE if not re.search(r"`[\w/.]+\.py::\w+`", rows[n])]
    assert not unshown, f"nothing shows {unshown}"
    assert not [n for n in ITEMS if not rows[n]]
