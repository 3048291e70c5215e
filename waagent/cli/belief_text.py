"""What an agent believes, as a person reads it at three in the morning (pure).

The document is that of ``exthandlers/belief.py``; texts in it may be anybody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Optional

from waagent.core.records import dataclass
from waagent.core.version import AGENT_VERSION
from waagent.protocol.documents.json_fields import Fields

_WIDTH = 15
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True)
class Reading:
    """When the document is read, by both clocks, and whether its writer still runs."""

    moment: datetime
    monotonic_s: float
    is_running: bool


def render_text(belief: Fields, reading: Reading) -> str:
    """All of it; raises ``DocumentError``. What could steer a terminal is escaped."""
    blocks = (
        ("Agent", _agent(_part(belief, "agent"))),
        ("Now", _now(belief, reading)),
        ("Goal state", _goal(belief.maybe_object("goal_state"))),
        ("Asked for it", _attempts(_part(belief, "goal_state_fetch"))),
        ("Status upload", _upload(_part(belief, "status_upload"))),
        ("Extensions", _extensions(belief)),
        ("Certificates", _certificates(belief)),
        ("Users", iter([", ".join(belief.texts("users")) or "no just-in-time users"])),
    )
    lines: list[str] = []
    for title, block in blocks:
        head = title
        for line in block:
            lines += [f"{head:<{_WIDTH}}{part}" for part in _CONTROL.sub(_escape, line).split("\n")]
            head = ""
    return "\n".join(line.rstrip() for line in lines) + "\n"


def duration(seconds: float) -> str:
    """``4:10``: minutes and seconds."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    return f"{minutes}:{rest:02d}"


def seconds_of(deed: Fields, reading: Reading) -> float:
    """For how long something has been done, whatever was done to the wall clock meanwhile."""
    began = deed.value("began_s")
    return max(0.0, reading.monotonic_s - began) if isinstance(began, (int, float)) else 0.0


def _agent(agent: Fields) -> Iterator[str]:
    version = agent.text("version")
    yield f"{version}, process {agent.number('pid')} since {agent.text('started')}"
    yield agent.text("why")
    if version != AGENT_VERSION:
        yield f"{AGENT_VERSION} is installed and runs from the service's next start on"


def _now(belief: Fields, reading: Reading) -> Iterator[str]:
    deeds = belief.objects("doing")
    ended = _part(belief, "agent").maybe_text("ended")
    due = belief.maybe_text("next_turn")
    if ended is not None:
        yield f"nothing: it was told to stop and ended at {ended}"
    elif not reading.is_running:
        yield f"nothing: it was killed or it crashed after {belief.text('written')}. It was to"
        yield from _work(deeds, reading) if deeds else iter([f"begin a turn at {due}"])
    elif deeds:
        yield from _work(deeds, reading)
    elif due is None:
        started = _part(belief, "agent").text("started")
        what = "its first turn" if belief.maybe_object("goal_state") else "the first goal state"
        yield f"wait for {what}, since {started}"
    else:
        left_s = _seconds_between(reading.moment, due)
        if left_s >= 0:
            yield f"wait for the next turn at {due}, in {left_s:.0f} s"
        else:
            yield f"ask for news and report, in a turn since {due} ({duration(-left_s)})"


def _work(deeds: list[Fields], reading: Reading) -> Iterator[str]:
    """The innermost first: that is what is waited for; the others are why."""
    for number, deed in enumerate(reversed(deeds)):
        limit = deed.value("limit_s")
        most = f" of {duration(limit)}" if isinstance(limit, (int, float)) else ""
        took = f", {duration(seconds_of(deed, reading))}{most}" if reading.is_running else ""
        lead = "to " if number else ""
        yield f"{lead}{deed.text('what')}, since {deed.text('since')}{took}"


def _goal(goal: Optional[Fields]) -> Iterator[str]:
    if goal is None:
        yield "none yet"
        return
    marks = [word for word in ("on_hold", "outdated") if goal.maybe_flag(word)]
    mark = "".join(f", {word.replace('_', ' ')}" for word in marks)
    yield f"{goal.text('id')}, {goal.text('source')} by {goal.text('channel')}{mark}"
    yield f"created {goal.text('created')}, received {goal.text('received')}"
    yield f"incarnation {goal.text('incarnation')}, container {goal.maybe_text('container_id')}"
    yield f"activity {goal.text('activity_id')}, correlation {goal.text('correlation_id')}"
    outcome = goal.maybe_object("outcome")
    if outcome is None:
        yield "not processed yet"
        return
    yield (
        f"{outcome.text('status')} {outcome.number('code')} at {outcome.text('processed')},"
        f" sequence {outcome.value('sequence')}: {outcome.text('message')}"
    )


def _attempts(attempts: Fields) -> Iterator[str]:
    good = attempts.maybe_text("last_success")
    failures = attempts.number("failures_in_a_row")
    if failures:
        times = "once" if failures == 1 else f"{failures} times in a row"
        yield f"failed {times} since {attempts.text('failing_since')}, last time with success:"
        yield f"{good or 'never in this process'}; {attempts.maybe_text('last_error')}"
    else:
        yield f"with success at {good}" if good else "not yet"


def _upload(upload: Fields) -> Iterator[str]:
    yield from _attempts(upload)
    way = upload.maybe_text("way")
    if way is not None:
        yield f"{upload.number('size')} bytes, {way}"


def _extensions(belief: Fields) -> Iterator[str]:
    rows = belief.objects("extensions")
    for row in rows:
        yield from _extension(row)
    left_out = belief.number("extensions_left_out")
    if left_out:
        yield f"and {left_out} more"
    if not rows:
        yield "none"


def _extension(row: Fields) -> Iterator[str]:
    extension = row.maybe_text("extension")
    name = row.maybe_text("name") or "(without a name)"
    item = f"{name}.{extension}" if extension else name
    wanted = row.maybe_text("wanted_version")
    served = row.maybe_text("version")
    version = f"{wanted}" if served in (None, "", wanted) else f"{wanted} (here: {served})"
    sequence = row.value("sequence")
    number = "no settings" if sequence is None else f"sequence {sequence}"
    level = row.number("level")
    depends = f", level {level}" if level else ""
    yield (
        f"{item} {version}: {row.text('wanted')} wanted, {row.text('state')} here,"
        f" {number}{depends}"
    )
    handler = row.maybe_text("handler_status")
    if handler is not None:
        yield f"  handler {handler} {row.value('handler_code')}{_said(row, 'handler_message')}"
    elif row.maybe_text("handler_message"):
        yield f"  invalid{_said(row, 'handler_message')}"
    else:
        yield "  not reported yet"
    word, reported = row.maybe_text("status"), row.value("status_sequence")
    if word is not None:
        older = "" if reported == sequence else f" of sequence {reported}"
        yield f"  extension {word} {row.value('code')}{older}{_said(row, 'message')}"


def _said(row: Fields, key: str) -> str:
    text = row.maybe_text(key)
    if not text:
        return ""
    return ": " + "\n    ".join(line for line in text.splitlines() if line.strip())


def _certificates(belief: Fields) -> Iterator[str]:
    certificates = belief.objects("certificates")
    for each in certificates:
        key = "" if each.maybe_flag("has_private_key") else ", without its key"
        yield f"{each.text('thumbprint')}{key}"
    if not certificates:
        yield "none"


def _part(belief: Fields, key: str) -> Fields:
    part = belief.maybe_object(key)
    if part is None:
        raise belief.error("it is missing", key)
    return part


def _seconds_between(now: datetime, then: str) -> float:
    try:
        moment = datetime.strptime(then, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return 0.0
    return (moment - now).total_seconds()


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")
