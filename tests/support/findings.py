"""What was looked at, one line each: what, whether it is as it should be, and what was seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Callable

WIDTH = 160


class NotTried(Exception):
    """A look that is not possible here; the message says why. It is neither ok nor a miss."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and whether it is as it should be."""

    what: str
    good: bool
    seen: str
    tried: bool = True

    def render(self) -> str:
        """One line of a table; a miss is shown whole."""
        verdict = ("ok" if self.tried else "-") if self.good else "MISS"
        line = f"  {verdict:<5}{self.what:<50} {self.seen}"
        return line[:WIDTH] if self.good else line


Look = tuple[str, Callable[[], tuple[bool, str]]]


def look_at(looks: Sequence[Look], *expected: type[Exception]) -> Iterator[Finding]:
    """Look at everything; what cannot be looked at, for an expected reason, is not good."""
    reasons: tuple[type[Exception], ...] = (OSError, LookupError, ValueError, *expected)
    for what, look in looks:
        tried = True
        try:
            good, seen = look()
        except NotTried as e:
            good, seen, tried = True, str(e), False
        except reasons as e:
            good, seen = False, f"{type(e).__name__}: {e}"
        yield Finding(what, good, " ".join(seen.split()), tried)
