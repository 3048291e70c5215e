"""In which order extensions are worked on, and waiting for those that others depend on.

Source: spec EXT 2.3 and 2.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable, Optional

from waagent.core.clock import Clock, Stop
from waagent.core.records import dataclass
from waagent.extensions.codes import Interrupted
from waagent.extensions.home import extension_of, item_name
from waagent.extensions.status import is_terminal
from waagent.protocol.documents.handlers import Handler, Settings
from waagent.protocol.documents.status import ExtensionStatus

DEADLINE_S = 90 * 60.0
POLL_S = 1.0


@dataclass(frozen=True)
class Item:
    """One unit of work: a handler with one of its settings, or without any."""

    handler: Handler
    settings: Optional[Settings]

    @property
    def key(self) -> int:
        """Where it comes in the order; removals are negative."""
        return self.handler.sort_key(self.settings)

    @property
    def name(self) -> str:
        """``Handler`` or ``Handler.Extension``."""
        return item_name(self.handler, self.settings)

    @property
    def extension(self) -> Optional[str]:
        """The extension's own name where the handler has several."""
        return extension_of(self.handler, self.settings)


def in_order(handlers: Iterable[Handler]) -> tuple[Item, ...]:
    """All items: removals first, then by dependency level, else as the document has them."""
    items = [
        Item(handler, settings)
        for handler in handlers
        for settings in (handler.settings or (None,))
    ]
    return tuple(sorted(items, key=lambda item: item.key))


class Dependencies:
    """Waits, all together no longer than the deadline, for extensions that others need."""

    def __init__(self, clock: Clock, stop: Stop, *, limit_s: float = DEADLINE_S) -> None:
        self._clock = clock
        self._stop = stop
        self._deadline = clock.monotonic() + limit_s

    @property
    def left_s(self) -> float:
        """What is left of the time for all of them."""
        return max(0.0, self._deadline - self._clock.monotonic())

    def await_success(
        self, item: Item, read: Callable[[], Optional[ExtensionStatus]]
    ) -> Optional[str]:
        """Wait for the end of an extension; why those after it cannot run, or ``None``.

        Raises ``Interrupted`` when we are to stop.
        """
        while True:
            status = read()
            word = None if status is None else status.status
            if status is None or is_terminal(status):
                if word == "success":
                    return None
                return f"Dependent Extension {item.name} did not succeed. Status was {word}"
            left_s = self._deadline - self._clock.monotonic()
            if left_s <= 0:
                return (
                    f"Dependent Extension {item.name} did not reach a terminal state within the"
                    f" allowed timeout. Last status was {word}"
                )
            if self._clock.wait(self._stop, min(POLL_S, left_s)):
                raise Interrupted


def skipped_because_of(item: Item) -> str:
    """What is said of all items after one that failed."""
    return (
        "Skipping processing of extensions since execution of dependent extension"
        f" {item.name} failed"
    )
