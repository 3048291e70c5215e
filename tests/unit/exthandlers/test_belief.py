"""The value of ``-show-goal-state``, its form, and the text made of it: bounded and harmless."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import START, ManualClock
from waagent.cli.belief_text import Reading, duration, render_text
from waagent.core.activity import Activity, Deed
from waagent.core.errors import DocumentError
from waagent.core.records import fields
from waagent.core.version import AGENT_VERSION
from waagent.exthandlers.belief import (
    MAX_TEXT,
    MOST_ROWS,
    SCHEMA,
    Agent,
    Attempts,
    Belief,
    Extension,
    Goal,
    Upload,
    render_belief,
)
from waagent.protocol.documents.json_fields import Fields
from waagent.protocol.documents.status import GoalStateStatus
from waagent.protocol.keys import CertificateSummary

PAGE = (Path(__file__).resolve().parents[3] / "docs/show-goal-state.md").read_text("utf-8")
READING = Reading(START + timedelta(seconds=70), 1070.0, is_running=True)
EXTENSION = Extension("P.T", None, "enabled", "1.0", "1.0.3", "Enabled", 2, 5)
BELIEF = Belief(
    written=START,
    agent=Agent(AGENT_VERSION, "the installed one", 4711, 99, "a-boot", START),
    goal_state=Goal(
        "incarnation_7", "Fabric", "WireServer", "7", "2026-01-01T00:00:00Z", START,
        "an-activity", "a-correlation", "a-container", "a-role", None, False,
        GoalStateStatus("GoalState executed successfully", START, "7"),
    ),
    goal_state_fetch=Attempts(START),
    status_upload=Upload(START, way="direct", size=1234),
    extensions=(EXTENSION,),
    extensions_left_out=0,
    certificates=(CertificateSummary("ABCD", True),),
    users=("jit",),
    doing=(),
    next_turn=START + timedelta(seconds=60),
)  # fmt: skip


def document(belief: Belief) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(render_belief(belief))
    return found


def text(belief: Belief, reading: Reading = READING) -> str:
    return render_text(Fields(document(belief), "the belief"), reading)


def line(belief: Belief, title: str, reading: Reading = READING) -> str:
    """The first line of a block, without its title."""
    (found,) = (each for each in text(belief, reading).splitlines() if each.startswith(title))
    return found[len(title) :].strip()


def test_page_names_every_key_of_the_document() -> None:
    keys = {each.name for each in fields(Belief)} | {"schema", "running", "doing_seconds"}
    parts = (Agent, Goal, GoalStateStatus, Upload, Extension, Deed, CertificateSummary)
    keys |= {each.name for kind in parts for each in fields(kind)}
    named = set(re.findall(r"`([\w.]+)`", PAGE.partition("## For programs")[2]))
    assert keys - {each.rpartition(".")[2] for each in named} == set()
    assert set(document(BELIEF)) | {"running", "doing_seconds"} <= named
    assert document(BELIEF)["schema"] == SCHEMA


def test_page_says_how_long_texts_and_lists_are() -> None:
    assert f"cut at {MAX_TEXT} characters, lists at {MOST_ROWS} entries" in PAGE


def test_secrets_are_taken_out_before_texts_are_cut() -> None:
    secret = "https://a.blob/c?sig=SECRET" + "x" * MAX_TEXT
    row = replace(EXTENSION, message=secret, handler_message=f"{'m' * (MAX_TEXT - 30)} {secret}")
    rendered = render_belief(replace(BELIEF, extensions=(row,), users=(secret,))).decode()
    assert "SECRET" not in rendered
    assert rendered.count("https://a.blob/c?<redacted>") >= 2


def test_document_is_bounded_whatever_the_fabric_sends() -> None:
    row = replace(EXTENSION, name="n" * 5000, message="\u20ac" * 10**6, handler_message="m" * 10**6)
    found = render_belief(replace(BELIEF, extensions=(row,) * 5000, users=("u" * 5000,) * 5000))
    assert len(found) < 4 << 20
    assert len(json.loads(found)["extensions"]) == MOST_ROWS


@given(st.text(), st.text())
def test_no_text_can_steer_a_terminal(name: str, message: str) -> None:
    row = replace(EXTENSION, name=name, message=message, status="error", code=message)
    shown = text(replace(BELIEF, extensions=(row,), users=(name,)))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", shown)
    shown.encode("utf-8")


def test_escapes_and_half_characters_are_shown_as_such() -> None:
    row = replace(EXTENSION, status="error", code=1, message="\x1b[2J\ud800 bad\nline two")
    shown = text(replace(BELIEF, extensions=(row,)))
    assert "\\x1b[2J\ufffd bad" in shown
    assert "\n                   line two\n" in shown


def test_next_turn_is_told_with_the_time_until_then() -> None:
    early = replace(READING, moment=START + timedelta(seconds=54))
    assert line(BELIEF, "Now", early) == "wait for the next turn at 2026-01-31T10:12:12Z, in 6 s"
    assert (
        line(BELIEF, "Now")
        == "ask for news and report, in a turn since 2026-01-31T10:12:12Z (0:10)"
    )


def test_deeds_are_told_innermost_first_with_their_limits() -> None:
    deeds = (Deed("carry out X", START, 1000.0), Deed("run enable of Y", START, 1020.5, 300))
    found = text(replace(BELIEF, doing=deeds)).splitlines()
    now = next(number for number, each in enumerate(found) if each.startswith("Now"))
    assert found[now].endswith("run enable of Y, since 2026-01-31T10:11:12Z, 0:49 of 5:00")
    assert found[now + 1].strip() == "to carry out X, since 2026-01-31T10:11:12Z, 1:10"


def test_failures_are_told_with_the_last_success_and_the_reason() -> None:
    failing = Attempts(START, 12, START + timedelta(seconds=6), "cannot reach it")
    shown = text(replace(BELIEF, goal_state_fetch=failing))
    assert "failed 12 times in a row since 2026-01-31T10:11:18Z" in shown
    assert "2026-01-31T10:11:12Z; cannot reach it" in shown


def test_status_of_an_older_sequence_is_told_apart() -> None:
    row = replace(EXTENSION, status="success", code=0, status_sequence=4, message="m")
    shown = text(replace(BELIEF, extensions=(row,)))
    assert "P.T 1.0 (here: 1.0.3): enabled wanted, Enabled here, sequence 5, level 2" in shown
    assert "extension success 0 of sequence 4: m" in shown


def test_older_version_that_still_runs_is_told_apart_from_the_installed_one() -> None:
    shown = text(replace(BELIEF, agent=replace(BELIEF.agent, version="2.15.0.9")))
    assert f"{AGENT_VERSION} is installed and runs from the service's next start on" in shown


def test_agent_that_is_gone_is_told_with_what_it_was_at() -> None:
    gone = replace(READING, is_running=False)
    killed = replace(BELIEF, doing=(Deed("run enable of Y", START, 1000.0, 300),))
    assert line(killed, "Now", gone).startswith("nothing: it was killed or it crashed after ")
    assert "run enable of Y, since 2026-01-31T10:11:12Z\n" in text(killed, gone)
    ended = replace(BELIEF, agent=replace(BELIEF.agent, ended=START), next_turn=None)
    assert (
        line(ended, "Now", gone) == "nothing: it was told to stop and ended at 2026-01-31T10:11:12Z"
    )


@pytest.mark.parametrize(
    "damage", [{"agent": None}, {"doing": 7}, {"extensions": [1]}, {"users": 1}]
)
def test_damaged_document_is_a_document_error(damage: dict[str, Any]) -> None:
    with pytest.raises(DocumentError, match="the belief"):
        render_text(Fields({**document(BELIEF), **damage}, "the belief"), READING)


def test_activity_tells_its_listener_of_each_beginning_and_end() -> None:
    clock, activity, seen = ManualClock(), Activity(), list[tuple[str, ...]]()
    activity.listener = lambda: seen.append(tuple(each.what for each in activity.deeds))
    with pytest.raises(KeyError), activity.doing(clock, "a", 5), activity.doing(clock, "b", None):
        raise KeyError
    assert seen == [("a",), ("a", "b"), ("a",), ()]


def test_durations_are_minutes_and_seconds() -> None:
    assert [duration(each) for each in (-1, 0, 59.9, 250, 5400)] == [
        "0:00", "0:00", "0:59", "4:10", "90:00",
    ]  # fmt: skip
