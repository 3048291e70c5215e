"""How the demonstration tells its story: the picture and the order of the lines."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.demo.narrator import LogReader, Narrator
from tests.demo.outside import differences
from tests.demo.timeline import Phase, render_timeline

STAMP = "2026-01-02T03:04:05.000000Z"


def test_timeline_draws_phases_to_one_scale() -> None:
    first, second, scale = render_timeline((Phase("a", 0.0, 1.0), Phase("bc", 1.0, 4.0)))
    assert first.startswith("a   |##############   ")
    assert first.endswith("|  1.00 s")
    assert second.count("#") == 42
    assert second.startswith("bc  |" + " " * 14 + "#")
    assert scale.endswith("4.0 s")


def test_timeline_says_what_never_came() -> None:
    lines = render_timeline((Phase("a", 0.0, 1.0), Phase("b", 1.0, None)))
    assert "never" in lines[1]


def test_lines_of_two_sources_are_told_in_the_order_in_which_they_happened(
    capsys: pytest.CaptureFixture[str],
) -> None:
    narrator = Narrator()
    narrator.begin()
    now = time.time()
    narrator.say("agent", "later", now + 0.2)
    narrator.say("fabric", "earlier", now + 0.1)
    narrator.flush()
    words = capsys.readouterr().out.split()
    assert words.index("earlier") < words.index("later")
    assert narrator.seconds_of("fabric", "earl") == pytest.approx(0.1, abs=0.05)
    assert narrator.seconds_of("agent", "never") is None


def test_log_is_told_by_its_steps_and_by_every_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "waagent.log"
    log.write_text(
        f"{STAMP} INFO Daemon Daemon Set hostname [vm-7]\n"
        f"{STAMP} INFO Daemon Daemon Something of no interest\n"
        f"{STAMP} WARNING Daemon Daemon Something is odd\n"
        "a line of something else\n"
        f"{STAMP} INFO Daemon Daemon Set hostname [not whole",
        encoding="utf-8",
    )
    with Narrator() as narrator, LogReader(log, narrator):
        pass
    told = capsys.readouterr().out
    assert "Set hostname [vm-7]" in told
    assert "WARNING: Something is odd" in told
    assert "interest" not in told
    assert "not whole" not in told


def test_differences_name_what_is_not_as_it_was() -> None:
    assert differences({"a": "1", "b": "2"}, {"a": "1", "b": "3"}) == ["b"]
