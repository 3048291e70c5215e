"""Edit sshd_config as text: pure. Match blocks and comments stay as they are.

Source: spec DAEMON 5.5 (editing rule). Unlike the reference, a line counts as sshd counts it: for
sshd the first value wins, so one that is indented or in small letters must not stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional


def set_directives(text: str, directives: Sequence[tuple[str, str]]) -> str:
    """The text with each directive set, in order, outside of all Match blocks.

    Every line that sets it is replaced; where none does, the directive goes to the end, or before
    the Match blocks that are open at the end.
    """
    lines = text.split("\n")
    for name, value in directives:
        lines = _set(lines, name, f"{name} {value}")
    return "\n".join(lines)


def _set(lines: list[str], name: str, line: str) -> list[str]:
    edited = []
    replaced = False
    block_start: Optional[int] = None
    for index, old in enumerate(lines):
        words = old.lower().split()
        if words[:1] == ["match"]:
            if words[1:] == ["all"]:
                block_start = None
            elif block_start is None:
                block_start = index
        if block_start is None and _sets(old, name):
            edited.append(line)
            replaced = True
        else:
            edited.append(old)
    if not replaced:
        # The last element of a text that ends in a newline is the empty rest after it.
        where = len(edited) - 1 if block_start is None else block_start
        edited.insert(where, line)
    return edited


def _sets(line: str, name: str) -> bool:
    """Whether a line sets the directive, as sshd reads it: in any case, indented or not."""
    word = line.replace("=", " ", 1).split(maxsplit=1)[:1]
    return bool(word) and word[0].lower() == name.lower()
