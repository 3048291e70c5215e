"""What this process believes, as one value, and the file's form of it: ``-show-goal-state``.

Only the value; ``keeper.py`` collects it. The keys are promised to programs
(docs/show-goal-state.md). Texts are redacted and cut: anybody may have written them.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Optional, Union

from waagent.core.activity import Deed
from waagent.core.clock import timestamp_s
from waagent.core.records import dataclass, fields
from waagent.core.redact import redact
from waagent.protocol.documents.status import Code, GoalStateStatus
from waagent.protocol.keys import CertificateSummary

SCHEMA = 1
MOST_ROWS = 200
MAX_TEXT = 1000


@dataclass(frozen=True)
class Agent:
    """Which version runs and why; which process it is, so that no later one is taken for it."""

    version: str
    why: str
    pid: int
    began: Optional[int]
    boot: Optional[str]
    started: datetime
    ended: Optional[datetime] = None


@dataclass(frozen=True)
class Goal:
    """The goal state in force, where it came from, and what came of the one processed last."""

    id: str
    source: str
    channel: str
    incarnation: str
    created: str
    received: datetime
    activity_id: str
    correlation_id: str
    container_id: str
    role_instance_id: Optional[str]
    on_hold: Optional[bool]
    outdated: bool
    outcome: Optional[GoalStateStatus] = None


@dataclass(frozen=True)
class Attempts:
    """How something that is done again and again is going."""

    last_success: Optional[datetime] = None
    failures_in_a_row: int = 0
    failing_since: Optional[datetime] = None
    last_error: Optional[str] = None


@dataclass(frozen=True)
class Upload(Attempts):
    """The same of the status; the way and the size are those of the last one that went out."""

    way: Optional[str] = None
    size: Optional[int] = None


@dataclass(frozen=True)
class Extension:
    """One item of the goal state: what is wanted, what is here, what was last reported of it."""

    name: str
    extension: Optional[str]
    wanted: str
    wanted_version: str
    version: str
    state: str
    level: int
    sequence: Union[int, str, None]
    handler_status: Optional[str] = None
    handler_code: Optional[int] = None
    handler_message: Optional[str] = None
    status_sequence: Optional[int] = None
    status: Optional[str] = None
    code: Code = None
    message: Optional[str] = None


@dataclass(frozen=True)
class Belief:
    """All of it at one moment; ``next_turn`` is ``None`` while nobody knows."""

    written: datetime
    agent: Agent
    goal_state: Optional[Goal]
    goal_state_fetch: Attempts
    status_upload: Upload
    extensions: tuple[Extension, ...]
    extensions_left_out: int
    certificates: tuple[CertificateSummary, ...]
    users: tuple[str, ...]
    doing: tuple[Deed, ...]
    next_turn: Optional[datetime]


def render_belief(belief: Belief) -> bytes:
    """The JSON document, ASCII, without secrets."""
    return json.dumps({"schema": SCHEMA, **_plain(belief)}).encode("ascii")


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _short(value)
    if isinstance(value, datetime):
        return timestamp_s(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value[:MOST_ROWS]]
    if hasattr(value, "__dataclass_fields__"):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return value


def _short(text: str) -> str:
    """Redacted before it is cut: a cut may leave half of what a secret is known by.

    What lies far beyond the cut is not looked at. Half a character becomes a mark.
    """
    head = text[: 8 * MAX_TEXT].encode("utf-16", "surrogatepass")
    text = redact(head.decode("utf-16", "replace"))
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."
