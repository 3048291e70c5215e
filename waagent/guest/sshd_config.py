"""Edit sshd_config as text: pure. Match blocks and comments stay as they are.

Source: spec DAEMON 5.5 (editing rule). Unlike the reference, a line counts as sshd counts it: for
sshd the first value wins, so one that is indented or in small letters must not stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Optional

Directive = tuple[str, str]


def set_directives(text: str, directives: Sequence[Directive]) -> str:
    """The text with each directive set, in order, outside of all Match blocks.

    Every line that sets it is replaced; where none does, the directive goes to the end, or before
    the Match blocks that are open at the end.
    """
    lines = text.split("\n")
    for name, value in directives:
        edited, found = _replaced(lines, name, f"{name} {value}")
        lines = edited if found else _added(edited, f"{name} {value}")
    return "\n".join(lines)


def replace_directive(text: str, directive: Directive) -> str:
    """The text with every line replaced that sets the directive; where none does it stays."""
    name, value = directive
    return "\n".join(_replaced(text.split("\n"), name, f"{name} {value}")[0])


def set_before_includes(text: str, directives: Sequence[Directive]) -> str:
    """The text with the directives before the first Include, where no included file can win.

    So again after each ``Match all``: what is said there wins over what was said before. Without
    an Include outside of all other Match blocks the text stays.
    """
    edited: list[str] = []
    is_due = True
    for line, is_global in _scoped(text.split("\n")):
        if _sets(line, "Match"):
            is_due = True
        if is_due and is_global and _sets(line, "Include"):
            edited += [f"{name} {value}" for name, value in directives]
            is_due = False
        edited.append(line)
    return "\n".join(edited)


def parse_effective(output: str) -> Mapping[str, str]:
    """What ``sshd -T`` prints: names in small letters, and the first value of each."""
    found: dict[str, str] = {}
    for line in output.splitlines():
        name, _, value = line.strip().partition(" ")
        if value:
            found.setdefault(name.lower(), value.strip())
    return found


def _replaced(lines: Sequence[str], name: str, line: str) -> tuple[list[str], bool]:
    edited = [line if is_global and _sets(old, name) else old for old, is_global in _scoped(lines)]
    found = any(is_global and _sets(old, name) for old, is_global in _scoped(lines))
    return edited, found


def _added(lines: list[str], line: str) -> list[str]:
    # The last element of a text that ends in a newline is the empty rest after it.
    start = _block_at_end(lines)
    if start is None and lines[-1]:
        return [*lines, line, ""]
    where = len(lines) - 1 if start is None else start
    return [*lines[:where], line, *lines[where:]]


def _block_at_end(lines: Sequence[str]) -> Optional[int]:
    """Where the Match blocks begin that are open at the end."""
    start: Optional[int] = None
    for index, (_, is_global) in enumerate(_scoped(lines)):
        if is_global:
            start = None
        elif start is None:
            start = index
    return start


def _scoped(lines: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it holds for everybody; ``Match all`` ends a block."""
    is_global = True
    for line in lines:
        words = _words(line)
        if words[:1] == ["match"]:
            is_global = words[1:] == ["all"]
        yield line, is_global


def _sets(line: str, name: str) -> bool:
    """Whether a line sets the directive."""
    return _words(line)[:1] == [name.lower()]


def _words(line: str) -> list[str]:
    """A line as sshd reads it: in any case, indented or not, quoted or not, with ``=`` or not."""
    words = line.replace("=", " ", 1).replace('"', "").lower().split()
    comment = next((at for at, word in enumerate(words) if word.startswith("#")), None)
    return words[:comment]
