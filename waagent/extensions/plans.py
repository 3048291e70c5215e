"""What has to be done for a goal state, in order (pure; spec EXT 2.3 to 2.6)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Optional

from waagent.core.records import dataclass
from waagent.extensions.sequence import Item, in_order
from waagent.protocol.documents.extensions import ExtensionsGoalState
from waagent.protocol.documents.handlers import RequestedState


class Action(enum.Enum):
    """What is done about one item."""

    REFUSE = "refuse"
    REJECT = "reject"
    ENABLE = "enable"
    DISABLE = "disable"
    UNINSTALL = "uninstall"


_WANTED: Mapping[RequestedState, Action] = MappingProxyType(
    {
        RequestedState.ENABLED: Action.ENABLE,
        RequestedState.DISABLED: Action.DISABLE,
        RequestedState.UNINSTALL: Action.UNINSTALL,
    }
)


@dataclass(frozen=True)
class Known:
    """What a plan takes into account besides the goal state.

    ``done`` is the identity of the last one that this process carried out: a restart does
    everything again. ``again`` are items of that one which may succeed by now.
    ``refusal`` is why extensions may not run at all, or ``None``.
    """

    done: Optional[str] = None
    again: frozenset[str] = frozenset()
    refusal: Optional[str] = None


@dataclass(frozen=True)
class Plan:
    """One item and what is done about it; ``why`` where that is nothing.

    ``others_wait``: later items may depend on it, and run only if it succeeds.
    """

    item: Item
    action: Action
    others_wait: bool = False
    why: str = ""


def plan(goal: ExtensionsGoalState, known: Known) -> tuple[Plan, ...]:
    """What is to be done, in order; nothing when it has been done."""
    items = in_order(goal.handlers)
    highest = max((item.key for item in items), default=0)
    is_done = goal.identity == known.done
    return tuple(
        _plan_item(item, known, others_wait=0 <= item.key < highest)
        for item in items
        if not is_done or item.name in known.again
    )


def _plan_item(item: Item, known: Known, *, others_wait: bool) -> Plan:
    if known.refusal is not None:
        why = f"Extension '{item.name}' {known.refusal}"
        return Plan(item, Action.REFUSE, others_wait, why)
    state = item.handler.state
    invalid = item.handler.invalid_reason
    if invalid is not None or state is RequestedState.UNKNOWN:
        why = invalid or f"Unknown ext handler state:{state.value}"
        return Plan(item, Action.REJECT, others_wait, why)
    return Plan(item, _WANTED[state], others_wait)
