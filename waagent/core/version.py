"""Our own version, written once here, and how versions compare."""

from __future__ import annotations

import re
from functools import total_ordering

AGENT_NAME = "WALinuxAgent"
AGENT_LONG_NAME = "Azure Linux Agent"
AGENT_VERSION = "2.15.1.0"

MAX_LENGTH = 256
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")


@total_ordering
class Version:
    """A dotted version of any length; missing parts count as zero (``1.0`` equals ``1.0.0``)."""

    def __init__(self, text: str) -> None:
        """Accept digits and dots only; anything else is a ``ValueError`` that names the text."""
        stripped = text.strip()
        if len(stripped) > MAX_LENGTH or not _VERSION.fullmatch(stripped):
            shown = text[:MAX_LENGTH]
            raise ValueError(f'cannot read "{shown}" as a version: only digits and dots are known')
        self.text = stripped
        self.parts = tuple(int(part) for part in stripped.split("."))

    @property
    def major(self) -> int:
        """The first part."""
        return self.parts[0]

    def _key(self) -> tuple[int, ...]:
        parts = self.parts
        while len(parts) > 1 and parts[-1] == 0:
            parts = parts[:-1]
        return parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key() == other._key()

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Version):
            return NotImplemented
        return self._key() < other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Version({self.text!r})"
