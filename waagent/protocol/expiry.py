"""What of a folder of old things has to go: bounded by count, by bytes and by age, newest first.

Only the choice and its measure; who removes what is in ``history.py``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from waagent.core.records import dataclass


@dataclass(frozen=True)
class Bounds:
    """How many, how large together, and how old in seconds."""

    count: int
    size: int
    age_s: float


@dataclass(frozen=True)
class Entry:
    """A file, or a folder with what is in it."""

    path: Path
    changed_ns: int
    size: int


def surplus(
    entries: Iterable[Entry], bounds: Bounds, *, now_s: float, stays: Sequence[Path] = ()
) -> Iterator[Entry]:
    """The entries past any of the bounds (pure); what stays counts, and is never among them."""
    count = size = 0
    for entry in sorted(entries, key=age_key, reverse=True):
        count, size = count + 1, size + entry.size
        is_old = now_s - entry.changed_ns / 1e9 > bounds.age_s
        is_over = count > bounds.count or size > bounds.size or is_old
        if is_over and entry.path not in stays:
            yield entry
            count, size = count - 1, size - entry.size


def measure(paths: Iterable[Path]) -> Iterator[Entry]:
    """The entries as they are on the disk; what goes meanwhile is left out."""
    for path in paths:
        try:
            state = path.lstat()
            size = _size_of(path) if stat.S_ISDIR(state.st_mode) else state.st_size
        except FileNotFoundError:
            continue
        yield Entry(path, state.st_ctime_ns, size)


def _size_of(folder: Path) -> int:
    total = 0
    for here, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(here) / name).lstat().st_size
            except FileNotFoundError:
                continue
    return total


def age_key(entry: Entry) -> tuple[int, int, str]:
    """Sorts the oldest first; of what came in one tick of the clock, by its number."""
    return entry.changed_ns, len(entry.path.name), entry.path.name
