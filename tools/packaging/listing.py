"""What a family gets, as text to read and to compare.

To renew the copies in the tree after a change of the table:
python3 -m tools.packaging.listing tests/data/packaging
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.packaging.families import FAMILIES, Family
from tools.packaging.staging import plan_data, plan_modules


def render_listing(row: Family) -> str:
    """One line a file: mode, kind, path; the modules are one line together."""
    data = sorted(plan_data(row), key=lambda each: each.path)
    (mode,) = {each.mode for each in plan_modules(row)}
    lines = [f"{each.mode:04o} {each.kind.value:<13} {each.path}" for each in data]
    return "\n".join([*lines, f"{mode:04o} {'modules':<13} {row.python_dir}/waagent/"]) + "\n"


def main(words: list[str]) -> int:
    """Write a file for each family into a folder."""
    for row in FAMILIES:
        Path(words[0], f"{row.name}.txt").write_text(render_listing(row), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
