"""The real logrotate on the log of processes that write all the while."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.integration.init.tools import INIT, PATIENCE_S, PROJECT, Outcome, require, run

WRITER = """\
import itertools, logging, pathlib, sys
from waagent.core import log
log.set_up(prefix="Daemon", verbose=False, stdout=False)
log.add_file(pathlib.Path(sys.argv[1]), prefix=sys.argv[2], verbose=False)
for number in itertools.count():
    logging.getLogger("waagent.test").info("Number %d", number)
    if number % 100 == 0 and pathlib.Path(sys.argv[3]).exists():
        print(number + 1)
        break
"""
# As /etc/logrotate.conf of Debian: what holds where our policy does not say otherwise.
AROUND = "weekly\nrotate 4\ncreate\ninclude {policy}\n"
ROTATIONS = 3


def rotated(folder: Path) -> list[Path]:
    """Files that logrotate put aside, oldest first."""
    names = (path for path in folder.glob("waagent.log-*") if path.name != "waagent.log.1")
    return sorted(names, key=lambda path: path.name)


def rotate(folder: Path) -> None:
    """Have it rotate until it did: within one second it finds the new name taken."""
    logrotate = require("logrotate", package="logrotate")
    before, deadline = len(rotated(folder)), time.monotonic() + PATIENCE_S
    while len(rotated(folder)) == before:
        assert time.monotonic() < deadline
        outcome = run(logrotate, "-f", "-s", str(folder / "state"), str(folder / "main"))
        assert outcome.code == 0 or "already exists" in outcome.said, outcome.said


def read(path: Path) -> str:
    """What it says, compressed or not."""
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("ascii")


def prepare(folder: Path) -> Path:
    """Our policy for a log in a folder; the log."""
    log = folder / "waagent.log"
    text = (INIT / "waagent.logrotate").read_text("utf-8")
    assert text.count("/var/log/waagent.log ") == 1
    policy = folder / "policy"
    policy.write_text(text.replace("/var/log/waagent.log ", f"{log} "), encoding="utf-8")
    (folder / "main").write_text(AROUND.format(policy=policy), encoding="utf-8")
    for each in (policy, folder / "main"):
        each.chmod(0o644)
    return log


def test_no_line_is_lost_or_doubled_while_the_log_is_rotated(tmp_path: Path) -> None:
    require("logrotate", package="logrotate")
    log, stop = prepare(tmp_path), tmp_path / "stop"
    writers = {
        name: subprocess.Popen(
            (sys.executable, "-c", WRITER, str(log), name, str(stop)),
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("Daemon", "ExtHandler")
    }
    try:
        for _ in range(ROTATIONS):
            rotate(tmp_path)
    finally:
        stop.touch()
        wrote = {name: int(each.communicate(timeout=60)[0]) for name, each in writers.items()}
    lines = "".join(map(read, (*rotated(tmp_path), log))).splitlines()
    for name, count in wrote.items():
        found = [int(line.rpartition(" ")[2]) for line in lines if f" {name} Number " in line]
        assert found == list(range(count))
    assert len(lines) == sum(wrote.values())


def test_older_logs_are_compressed_and_named_by_date_and_the_newest_still_waits(
    tmp_path: Path,
) -> None:
    log = prepare(tmp_path)
    for text in ("first\n", "second\n"):
        log.write_text(text)
        rotate(tmp_path)
        assert not log.exists(), "the agent makes it, with its own mode"
    older, newest = (path.name for path in rotated(tmp_path))
    assert re.fullmatch(r"waagent\.log-\d{4}-\d\d-\d\d-\d+\.gz", older)
    assert re.fullmatch(r"waagent\.log-\d{4}-\d\d-\d\d-\d+", newest)


def test_log_that_the_agent_put_aside_itself_is_left_alone(tmp_path: Path) -> None:
    log = prepare(tmp_path)
    aside = tmp_path / "waagent.log.1"
    log.write_text("new\n")
    aside.write_text("old\n")
    rotate(tmp_path)
    assert aside.read_text() == "old\n"
    assert [read(path) for path in rotated(tmp_path)] == ["new\n"]


def test_log_that_is_small_or_missing_is_not_rotated_by_the_daily_run(tmp_path: Path) -> None:
    logrotate = require("logrotate", package="logrotate")
    log = prepare(tmp_path)
    daily = (logrotate, "-s", str(tmp_path / "state"), str(tmp_path / "main"))
    assert run(*daily) == Outcome(0, "")
    log.write_text("small\n")
    assert run(*daily) == Outcome(0, "")
    assert not rotated(tmp_path)
    with log.open("ab") as stream:
        stream.truncate(20 * 1024 * 1024 + 1)
    assert run(*daily) == Outcome(0, "")
    assert len(rotated(tmp_path)) == 1
