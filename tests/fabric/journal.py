"""Everything the fabric received, in the order of arrival, and waiting for more of it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Optional

DEADLINE_S = 60.0


@dataclass(frozen=True)
class Entry:
    """One request and what became of it; `answer` 0 is a connection that was reset."""

    number: int
    time: float
    endpoint: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    answer: int
    answer_body: bytes = b""
    fault: Optional[str] = None
    complaints: tuple[str, ...] = ()

    def header(self, name: str) -> Optional[str]:
        """The first value of a header, whatever the case of its name."""
        return next((v for n, v in self.headers if n.lower() == name.lower()), None)


class Journal:
    """A list that only grows, safe between threads, on which one can wait."""

    def __init__(self, listener: Optional[Callable[[Entry], None]] = None) -> None:
        self._entries: list[Entry] = []
        self._changed = threading.Condition()
        self._listener = listener

    def add(self, **facts: Any) -> Entry:
        """Append one request; the number and the time are given here."""
        with self._changed:
            entry = Entry(number=len(self._entries) + 1, time=time.time(), **facts)
            self._entries.append(entry)
            self._changed.notify_all()
        if self._listener is not None:
            self._listener(entry)
        return entry

    def __len__(self) -> int:
        with self._changed:
            return len(self._entries)

    def entries(self, endpoint: str = "", since: int = 0) -> tuple[Entry, ...]:
        """Requests to an endpoint, or to all whose name starts so, after a number."""
        with self._changed:
            return tuple(e for e in self._entries[since:] if matches(endpoint, e.endpoint))

    @property
    def violations(self) -> tuple[str, ...]:
        """One sentence for each thing that a client did wrong."""
        return tuple(
            f"#{e.number} {e.method} {e.url} ({e.endpoint}): {c}"
            for e in self.entries()
            for c in e.complaints
        )

    def poke(self) -> None:
        """Have everyone who waits look again."""
        with self._changed:
            self._changed.notify_all()

    def wait(
        self, condition: Callable[[], Any], within_s: float = DEADLINE_S, what: str = "a condition"
    ) -> Any:
        """Return what `condition` says once it is true; after the deadline, say what was seen."""
        limit = time.monotonic() + within_s
        with self._changed:
            while True:
                found = condition()
                if found:
                    return found
                left = limit - time.monotonic()
                if left <= 0:
                    raise AssertionError(
                        f"cannot wait longer than {within_s} s for {what}; seen:\n{self._tail()}"
                    )
                self._changed.wait(left)

    def _tail(self) -> str:
        return "\n".join(
            f"  #{e.number} {e.answer} {e.endpoint} {e.method} {e.url}" for e in self._entries[-25:]
        )


def matches(pattern: str, endpoint: str) -> bool:
    """Whether a name, a name without its number, or a prefix such as `storage.` means this one."""
    if pattern.endswith((".", "*")) or not pattern:
        return endpoint.startswith(pattern.rstrip("*"))
    return pattern in {endpoint, endpoint.rstrip("0123456789"), endpoint.split(".", 1)[0]}
