"""How far each item of a goal state has come here, as the states on disk say (spec EXT 3.6).

For people who ask what the agent believes; the fabric is told statuses, in ``gather.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable

from waagent.core.records import dataclass
from waagent.extensions.home import HandlerHome
from waagent.extensions.sequence import Item, in_order
from waagent.extensions.state import (
    DISABLED_WORD,
    ENABLED_WORD,
    HandlerState,
    is_extension_enabled,
    read_state,
)
from waagent.protocol.documents.handlers import Handler


@dataclass(frozen=True)
class Standing:
    """An item, the version that stands for it here, and the word for its state."""

    item: Item
    version: str
    state: str


def read_standings(
    handlers: Iterable[Handler], home_of: Callable[[Handler], HandlerHome]
) -> tuple[Standing, ...]:
    """Every item in the order in which they are worked on."""
    return tuple(
        _read_standing(item, home_of(item.handler))
        if item.handler.name and item.handler.version
        else Standing(item, "", HandlerState.NOT_INSTALLED.value)
        for item in in_order(handlers)
    )


def _read_standing(item: Item, home: HandlerHome) -> Standing:
    """Of one extension among several it is its own state, where the handler has any."""
    state = read_state(home)
    if item.extension is None or state is not HandlerState.ENABLED:
        return Standing(item, home.version, state.value)
    word = ENABLED_WORD if is_extension_enabled(home, item.extension) else DISABLED_WORD
    return Standing(item, home.version, word.capitalize())
