"""The sysv script with a stand-in daemon; its way of life by each shell that may be /bin/sh."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.integration.init.tools import PATIENCE_S, Outcome, render, require, run
from tools.packaging.families import DEVUAN

STAND_IN = """\
import os, pathlib, signal, subprocess, sys
if sys.argv[1] == "-start":
    daemon = [sys.executable, "-u", sys.argv[0], "-daemon"]
    subprocess.Popen(daemon, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
else:
    assert sys.argv[1:] == ["-daemon"]
    if "@END@" == "ignored":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pathlib.Path("@PIDFILE@").write_text(str(os.getpid()))
    signal.pause()
"""
SHELLS = ("dash", "busybox sh", "bash --posix")
each_shell = pytest.mark.parametrize("shell", SHELLS, indirect=True)
DONE, NOT_INSTALLED, NOT_CONFIGURED, FAILED = 0, 5, 6, 7
RUNNING, DEAD, STOPPED = 0, 1, 3


@dataclass(frozen=True)
class Script:
    """The script as a machine has it, with its files in a folder."""

    folder: Path
    shell: tuple[str, ...]

    def do(self, word: str) -> Outcome:
        """Run it with a word."""
        return run(*self.shell, str(self.folder / "script"), word)

    def status(self) -> int:
        """The exit code of its status."""
        return self.do("status").code

    @property
    def pid_file(self) -> Path:
        """Where the daemon has its number."""
        return self.folder / "waagent.pid"

    @property
    def pid(self) -> int:
        """The daemon's number."""
        return int(self.pid_file.read_text())


def install(folder: Path, shell: tuple[str, ...], end: str = "default") -> Script:
    """Put script, program and configuration into a folder."""
    program, made = folder / "waagent", Script(folder, shell)
    family = replace(
        DEVUAN,
        python=sys.executable,
        program_dir=str(folder),
        conf_path=str(folder / "waagent.conf"),
        service="waagent-on-trial",
    )
    text = render("sysv/waagent.in", family)
    for known, here in (("/var/run", folder), ("/etc/default", folder / "default")):
        assert known in text
        text = text.replace(known, str(here))
    (folder / "script").write_text(text, encoding="utf-8")
    stand_in = STAND_IN.replace("@PIDFILE@", str(made.pid_file)).replace("@END@", end)
    program.write_text(stand_in, encoding="utf-8")
    program.chmod(0o755)
    (folder / "waagent.conf").touch()
    return made


def kill(script: Script) -> None:
    """End what a test left running."""
    if script.status() == RUNNING:
        os.kill(script.pid, signal.SIGKILL)


@pytest.fixture
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """A shell that is some machine's /bin/sh; Debian's, unless the test says otherwise."""
    program, *words = getattr(request, "param", SHELLS[0]).split()
    return (require(program, package=program), *words)


@pytest.fixture
def script(tmp_path: Path, shell: tuple[str, ...]) -> Iterator[Script]:
    """The script, with its daemon not running yet."""
    made = install(tmp_path, shell)
    yield made
    kill(made)


@each_shell
def test_daemon_is_started_and_stopped_and_its_status_told(script: Script) -> None:
    assert script.status() == STOPPED
    started = script.do("start")
    assert (started.code, script.status()) == (DONE, RUNNING), started.said
    assert str(script.pid) in started.said
    assert (script.do("stop").code, script.status()) == (DONE, STOPPED)


def test_second_start_and_second_stop_do_nothing_and_succeed(script: Script) -> None:
    script.do("start")
    first = script.pid
    assert "already running" in script.do("start").said
    assert script.pid == first
    script.do("stop")
    assert script.do("stop").code == DONE


@pytest.mark.parametrize("word", ["restart", "try-restart"])
def test_restart_is_another_process(script: Script, word: str) -> None:
    script.do("start")
    first = script.pid
    assert script.do(word).code == DONE
    assert script.pid != first
    assert not Path(f"/proc/{first}").exists()


def test_try_restart_leaves_a_stopped_daemon_stopped(script: Script) -> None:
    assert (script.do("try-restart").code, script.status()) == (DONE, STOPPED)


def test_number_that_is_another_process_is_no_daemon(script: Script) -> None:
    script.pid_file.write_text(str(os.getpid()))
    assert script.status() == DEAD
    assert script.do("stop").code == DONE  # and this test lives on
    assert script.status() == STOPPED


@each_shell
@pytest.mark.parametrize("content", ["", "\n", "waagent", "-1", "0", "12 34", "999999999"])
def test_pid_file_of_any_content_is_no_daemon(script: Script, content: str) -> None:
    script.pid_file.write_text(content)
    assert script.status() == DEAD


def test_daemon_that_died_is_told_and_started(script: Script) -> None:
    script.do("start")
    os.kill(script.pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_S
    while script.status() == RUNNING:
        assert time.monotonic() < deadline
    assert script.status() == DEAD
    assert (script.do("start").code, script.status()) == (DONE, RUNNING)


@pytest.mark.parametrize(
    ("missing", "code"), [("waagent", NOT_INSTALLED), ("waagent.conf", NOT_CONFIGURED)]
)
def test_what_is_missing_is_named_with_the_code_for_it(
    script: Script, missing: str, code: int
) -> None:
    (script.folder / missing).unlink()
    outcome = script.do("start")
    assert (outcome.code, str(script.folder / missing) in outcome.said) == (code, True)
    assert script.do("stop").code == DONE


def test_daemon_that_is_switched_off_is_not_started(script: Script) -> None:
    switches = script.folder / "default"
    switches.mkdir()
    (switches / "waagent-on-trial").write_text("WALINUXAGENT_ENABLED=0\n")
    assert (script.do("start").code, script.status()) == (DONE, STOPPED)


def test_probe_asks_for_a_restart_when_the_configuration_is_newer(script: Script) -> None:
    script.do("start")
    born = script.pid_file.stat().st_mtime
    os.utime(script.folder / "waagent.conf", (born - 60, born - 60))
    assert script.do("probe").said == ""
    os.utime(script.folder / "waagent.conf", (born + 60, born + 60))
    assert script.do("probe").said == "restart\n"


@each_shell
@pytest.mark.parametrize(("word", "code"), [("reload", 3), ("", 2), ("begin", 2)])
def test_word_that_cannot_be_done_has_the_code_for_it(script: Script, word: str, code: int) -> None:
    assert script.do(word).code == code


def test_daemon_that_does_not_start_is_a_failure(script: Script, tmp_path: Path) -> None:
    (tmp_path / "waagent").write_text("raise SystemExit(1)\n")
    outcome = script.do("start")
    assert (outcome.code, script.status()) == (FAILED, STOPPED)
    assert "waagent.log" in outcome.said


def test_daemon_that_does_not_stop_is_killed(tmp_path: Path, shell: tuple[str, ...]) -> None:
    script = install(tmp_path, shell, end="ignored")
    text = (tmp_path / "script").read_text("utf-8")
    assert "STOP_WITHIN=20\n" in text
    (tmp_path / "script").write_text(text.replace("STOP_WITHIN=20\n", "STOP_WITHIN=1\n"))
    script.do("start")
    victim = script.pid
    assert (script.do("stop").code, script.status()) == (DONE, STOPPED)
    assert not Path(f"/proc/{victim}").exists()


def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    shellcheck = require("shellcheck", "shellcheck")
    script = tmp_path / "script"
    script.write_text(render("sysv/waagent.in", DEVUAN), encoding="utf-8")
    outcome = run(shellcheck, "--shell=sh", str(script))
    assert outcome == Outcome(0, "")
