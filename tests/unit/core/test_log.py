"""The log: its exact line, what never gets into it, and sinks that break without a word."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import ManualClock
from waagent.core import log as agent_log
from waagent.core.log import MAX_FILE, MAX_MESSAGE, LineFormatter, Prefixed, Quietly

MOMENT = 1738318272.000001  # 2025-01-31T10:11:12.000001Z
LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (VERBOSE|INFO|WARNING|ERROR) \S+ (?:\S+ )?.*"
)
logger = logging.getLogger("waagent.test")


def record(
    message: object, *values: object, level: int = logging.INFO, **more: Any
) -> logging.LogRecord:
    """A record of a fixed moment."""
    made = logging.LogRecord("waagent.test", level, __file__, 1, message, values, None)
    made.created = MOMENT
    made.threadName = "ExtHandler"
    made.__dict__.update(more)
    return made


def line(message: object, *values: object, prefix: Optional[str] = "Daemon", **more: Any) -> str:
    """What becomes of it."""
    return LineFormatter(prefix).format(record(message, *values, **more))


@pytest.fixture
def fresh() -> Iterator[logging.Logger]:
    """The agent's logger as it was, afterwards."""
    root = logging.getLogger(agent_log.ROOT)
    before = (list(root.handlers), root.level, root.propagate)
    yield root
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for handler in before[0]:
        root.addHandler(handler)
    root.setLevel(before[1])
    root.propagate = before[2]


@pytest.fixture
def written(fresh: logging.Logger, tmp_path: Path) -> Path:
    """A log file that the agent writes, and nothing else."""
    assert fresh.name == agent_log.ROOT
    agent_log.set_up(prefix="Daemon", verbose=False, stdout=False)
    agent_log.add_file(tmp_path / "waagent.log", prefix="Daemon", verbose=False)
    return tmp_path / "waagent.log"


def messages(path: Path) -> list[str]:
    """The messages of a log."""
    return [each.split(" ", 4)[4] for each in path.read_text(encoding="ascii").splitlines()]


def test_line_has_time_level_thread_prefix_and_message() -> None:
    """Exactly as spec CLI 4.1 has it; others parse it."""
    assert line("Run %s", "daemon") == (
        "2025-01-31T10:11:12.000001Z INFO ExtHandler Daemon Run daemon"
    )


def test_prefix_is_left_out_with_its_space_when_there_is_none() -> None:
    """As for deprovision."""
    assert line("Done", prefix=None) == "2025-01-31T10:11:12.000001Z INFO ExtHandler Done"


@pytest.mark.parametrize(
    ("level", "word"),
    [(10, "VERBOSE"), (20, "INFO"), (30, "WARNING"), (40, "ERROR"), (50, "ERROR"), (35, "ERROR")],
)
def test_levels_have_the_agents_words(level: int, word: str) -> None:
    """Four of them."""
    assert line("x", level=level).split(" ")[1] == word


def test_extension_speaks_in_brackets_instead_of_the_process() -> None:
    """One bracketed word without spaces."""
    said: list[logging.LogRecord] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record)

    handler = Listener()
    own = logging.Logger("own", logging.DEBUG)
    own.addHandler(handler)
    Prefixed(own, "[Some.Ext-1.2]").info("Enable %s", "extension", extra={"other": 1})
    assert said[0].__dict__["other"] == 1
    assert LineFormatter("ExtHandler").format(said[0]).endswith(" [Some.Ext-1.2] Enable extension")


def test_thread_is_one_word_in_the_line_whatever_its_name() -> None:
    """Python names threads with a space, and others count on words."""
    text = line("x", threadName="Thread-1 (work)")
    assert text.split(" ")[2:] == ["Thread-1_(work)", "Daemon", "x"]


def test_message_that_is_not_ascii_is_escaped() -> None:
    """The file is ASCII whatever happens."""
    assert line("gr\u00fc\u00df \u20ac \U0001f600 \ud800").endswith(
        " gr\\xfc\\xdf \\u20ac \\U0001f600 \\ud800"
    )


def test_new_lines_stay_and_what_moves_a_cursor_is_escaped() -> None:
    """The console must not obey what an extension prints."""
    assert line("one\r\ntwo\tx\x1b[2J\x00\rthree\x7f").endswith(
        " one\ntwo\tx\\x1b[2J\\x00\\x0dthree\\x7f"
    )


def test_priorities_stand_before_each_line_of_a_record() -> None:
    """The journal takes each line for itself (sd-daemon(3))."""
    formatter = LineFormatter("Daemon", priorities=True)
    shown = {
        level: formatter.format(record("one\ntwo", level=level)).split("\n")
        for level in (10, 20, 30, 40)
    }
    assert {level: [text[:3] for text in lines] for level, lines in shown.items()} == {
        10: ["<7>", "<7>"],
        20: ["<6>", "<6>"],
        30: ["<4>", "<4>"],
        40: ["<3>", "<3>"],
    }
    assert shown[20][1] == "<6>two"


@given(st.text(), st.text())
def test_any_message_becomes_ascii_lines_the_first_of_which_parses(one: str, other: str) -> None:
    """What does not fit belongs to the record before it."""
    for priorities in (False, True):
        text = LineFormatter("Daemon", priorities=priorities).format(record("%s %s", one, other))
        assert text.isascii()
        first = text.split("\n")[0]
        assert LINE.fullmatch(first[3:] if priorities else first)


def test_traceback_follows_on_lines_of_its_own_and_is_redacted() -> None:
    """It may quote what must not be seen."""
    try:
        raise ValueError("https://a.b/c?sv=1&sig=c2VjcmV0")
    except ValueError:
        text = line("Cannot see", exc_info=sys.exc_info())
    lines = text.split("\n")
    assert lines[0].endswith(" Cannot see")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: https://a.b/c?<redacted>"


def test_secret_is_redacted_also_when_it_is_a_value() -> None:
    """Not only in the message's own text."""
    assert line("Use %s", "https://a.b/c?comp=x&sig=c2VjcmV0").endswith(
        " Use https://a.b/c?<redacted>"
    )


def test_secret_at_the_cut_of_a_long_message_is_redacted_first() -> None:
    """Half a signature is no longer recognised."""
    text = line("x" * (MAX_MESSAGE - 40) + " https://a.b/c?sv=1&sig=c2VjcmV0" + "y" * 1000)
    assert "c2Vj" not in text


def test_endless_message_is_cut_and_says_so() -> None:
    """A command may print megabytes."""
    text = line("x" * (MAX_MESSAGE + 1000))
    assert text.endswith("x... [1000 more]")
    assert len(text) < MAX_MESSAGE + 200


@pytest.mark.parametrize(
    ("message", "values"), [("%d files", ("x",)), ("%s", ()), ("%s", (1, 2)), ("%(a)s", ({},))]
)
def test_wrong_call_is_logged_as_it_is(message: str, values: tuple[object, ...]) -> None:
    """The words count, not the defect in how they were put."""
    made = record(message)
    made.args = values
    assert message.split(" ", maxsplit=1)[0] in LineFormatter(None).format(made)


def test_file_gets_what_is_said_and_nothing_below_its_level(written: Path) -> None:
    """Verbose lines are for those who ask."""
    logger.debug("no")
    logger.info("yes")
    logger.error("and %s", "this")
    assert messages(written) == ["yes", "and this"]


@pytest.mark.usefixtures("fresh")
def test_verbose_sink_gets_all(tmp_path: Path) -> None:
    """The file may be verbose while standard output is not."""
    agent_log.set_up(prefix=None, verbose=False, stdout=False)
    agent_log.add_file(tmp_path / "quiet", prefix="x", verbose=False)
    agent_log.add_file(tmp_path / "loud", prefix="x", verbose=True)
    logger.debug("detail")
    assert messages(tmp_path / "loud") == ["detail"]
    assert not (tmp_path / "quiet").exists()


def test_file_that_is_removed_or_rotated_between_records_is_made_again(written: Path) -> None:
    """Rotation needs no signal."""
    logger.info("one")
    written.rename(written.with_name("waagent.log.1"))
    logger.info("two")
    written.unlink()
    logger.info("three")
    assert messages(written) == ["three"]
    assert messages(written.with_name("waagent.log.1")) == ["one"]


def test_file_that_nobody_rotates_is_put_aside_once_it_is_very_large(written: Path) -> None:
    """So that a loop that logs cannot fill the disk: two such files are the most."""
    for number in range(2):
        with written.open("ab") as stream:
            stream.truncate(MAX_FILE)
        logger.info("last of %d", number)
        logger.info("first of %d", number + 1)
    assert messages(written)[-1:] == ["first of 2"]
    aside = written.with_name("waagent.log.1")
    assert aside.stat().st_size > MAX_FILE
    assert sorted(path.name for path in written.parent.iterdir()) == [written.name, aside.name]


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("obstacle", ["folder", "missing", "pipe", "full"])
def test_sink_that_cannot_be_written_loses_the_record_without_a_word(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], obstacle: str
) -> None:
    """Neither an error nor a wait; the next sink still gets it."""
    path = tmp_path / "log"
    if obstacle == "folder":
        path.mkdir()
    elif obstacle == "missing":
        path = tmp_path / "gone" / "log"
    elif obstacle == "pipe":
        os.mkfifo(path)
    else:
        path = Path("/dev/full")
    agent_log.set_up(prefix=None, verbose=False, stdout=False)
    agent_log.add_file(path, prefix="x", verbose=False)
    agent_log.add_file(tmp_path / "other", prefix="x", verbose=False)
    logger.warning("heard")
    assert messages(tmp_path / "other") == ["heard"]
    assert capfd.readouterr() == ("", "")


def test_standard_output_that_is_gone_is_no_error() -> None:
    """The journal may go before we do."""
    script = """
import logging, sys
from waagent.core import log
sys.stdout = open("/dev/full", "w", buffering=1)
log.set_up(prefix="Daemon", verbose=False)
for _ in range(3):
    logging.getLogger("waagent.x").error("lost")
import os
sys.stdout = open(os.devnull, "w")
sys.stderr.write("done")
os._exit(0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stderr, done.returncode) == ("done", 0)


@pytest.mark.usefixtures("fresh")
def test_standard_output_shows_lines_and_priorities_where_the_journal_listens() -> None:
    """A second set-up replaces the first."""
    for priorities in (False, True):
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            agent_log.set_up(prefix="Daemon", verbose=True, priorities=priorities)
            logger.debug("x")
        assert len(shown.getvalue().splitlines()) == 1
        assert shown.getvalue().startswith("<7>") == priorities


def test_sink_that_is_removed_hears_no_more(written: Path) -> None:
    """The console after provisioning."""
    console = agent_log.add_file(written.with_name("console"), prefix="x", verbose=False)
    logger.info("one")
    agent_log.remove(console)
    logger.info("two")
    assert messages(written) == ["one", "two"]
    assert messages(written.with_name("console")) == ["one"]


def test_records_of_many_threads_and_two_handlers_do_not_mix(written: Path) -> None:
    """As of daemon and child: each record is one write to the end of the file."""
    other = agent_log.add_file(written, prefix="ExtHandler", verbose=False)

    def speak(number: int) -> None:
        for _ in range(20):
            logger.info("%s", str(number) * 30_000)

    threads = [threading.Thread(target=speak, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    agent_log.remove(other)
    said = messages(written)
    assert len(said) == 160
    assert {len(set(each)) for each in said} == {1}


def test_same_words_are_said_once_in_a_period() -> None:
    """Others at any time."""
    clock = ManualClock()
    quietly = Quietly(clock, period_s=100.0)
    assert [quietly.may_say("a"), quietly.may_say("a"), quietly.may_say("b")] == [True, False, True]
    clock.advance(99.0)
    assert not quietly.may_say("a")
    clock.advance(1.0)
    assert quietly.may_say("a")
    assert not quietly.may_say("a")


def test_memory_of_what_was_said_is_bounded() -> None:
    """Words with a number in them are new each time."""
    quietly = Quietly(ManualClock())
    said = sum(quietly.may_say(f"error {number}") for number in range(Quietly.LIMIT * 3))
    assert said == Quietly.LIMIT * 3
    assert len(quietly.__dict__["_said"]) <= Quietly.LIMIT
