"""The pid file: who holds it, and who only seems to (spec DAEMON 1.3, step 5)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.machine import Guest, Machine
from waagent.core.errors import GuestError
from waagent.core.system import real_system
from waagent.daemon import pidfile

PID_FILE = "/run/waagent.pid"
OURS = str(os.getpid())
DAEMON = b"/usr/bin/python3\0-u\0/usr/sbin/waagent\0-daemon\0"
WAITS = "import signal; print('ready', flush=True); signal.pause()"


def claim(guest: Guest) -> object:
    return pidfile.claim(guest.system, guest.path(PID_FILE))


@contextmanager
def running(*words: str) -> Iterator[int]:
    """A real process with these words in its command line."""
    process = subprocess.Popen([sys.executable, "-c", WAITS, *words], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_free_pid_file_is_written_without_a_newline(tmp_path: Path) -> None:
    guest = Machine().boot(tmp_path)
    assert claim(guest) is None
    assert guest.file(PID_FILE) == OURS
    assert guest.mode(PID_FILE) == 0o644


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n",
        "garbage",
        "-7",
        "0",
        "007",
        "77 88",
        "7" * 5000,
        "²",
        "٣",
        "\0\0\0",
        "77\0",
        "99",
        "{OURS}",
        "{OURS}\n",
    ],
    ids=repr,
)
def test_pid_file_that_names_no_other_daemon_is_stale(tmp_path: Path, content: str) -> None:
    daemons = {f"/proc/{pid}/cmdline": DAEMON for pid in ("0", "7", OURS)}
    stale = content.replace("{OURS}", OURS)
    guest = Machine(files={PID_FILE: stale, **daemons}).boot(tmp_path)
    assert claim(guest) is None
    assert guest.file(PID_FILE) == OURS


@pytest.mark.parametrize("content", ["77", "77\n", " 77 "])
@pytest.mark.parametrize(
    "command",
    [
        DAEMON,
        b"python3\0-u\0/usr/sbin/waagent\0-daemon\0-configuration-path:/etc/waagent.conf\0",
        b"/usr/bin/python3\0-u\0/usr/bin/WALinuxAgent-2.15.pyz\0--daemon\0",
        b"waagent\0daemon\0",
    ],
)
def test_pid_file_of_a_daemon_that_runs_is_left_alone(
    tmp_path: Path, content: str, command: bytes
) -> None:
    guest = Machine(files={PID_FILE: content, "/proc/77/cmdline": command}).boot(tmp_path)
    assert claim(guest) == 77
    assert guest.file(PID_FILE) == content


@pytest.mark.parametrize(
    "command",
    [
        b"",
        b"/usr/sbin/cron\0-f\0",
        b"/usr/lib/systemd/systemd\0--daemon\0",
        b"tail\0-f\0/var/log/waagent.log\0",
        b"python3\0-u\0/usr/sbin/waagent\0-run-exthandlers\0",
        b"\xff\xfe\0-daemon\0",
        b"x" * 100_000,
    ],
    ids=lambda command: repr(command[:40]),
)
def test_number_that_another_process_has_now_is_no_daemon(tmp_path: Path, command: bytes) -> None:
    guest = Machine(files={PID_FILE: "77", "/proc/77/cmdline": command}).boot(tmp_path)
    assert claim(guest) is None
    assert guest.file(PID_FILE) == OURS


@pytest.mark.parametrize(
    ("words", "is_daemon"),
    [(["/usr/sbin/waagent", "-daemon"], True), (["/usr/sbin/sshd", "-D"], False)],
)
def test_real_process_is_known_by_its_command_line(
    tmp_path: Path, words: list[str], is_daemon: bool
) -> None:
    path = tmp_path / "waagent.pid"
    with running(*words) as pid:
        path.write_text(str(pid))
        assert pidfile.claim(real_system(), path) == (pid if is_daemon else None)
    assert path.read_text() == (str(pid) if is_daemon else OURS)


def test_daemon_that_ended_leaves_the_file_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "waagent.pid"
    with running("/usr/sbin/waagent", "-daemon") as pid:
        path.write_text(str(pid))
    assert pidfile.claim(real_system(), path) is None
    assert path.read_text() == OURS


def test_pid_file_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    guest = Machine(folders=[f"{PID_FILE}/x"]).boot(tmp_path)
    with pytest.raises(GuestError, match=r'cannot write the pid file ".*waagent\.pid".*Pid\.File'):
        claim(guest)


def test_folder_of_the_pid_file_is_made(tmp_path: Path) -> None:
    guest = Machine().boot(tmp_path)
    path = guest.path("/run/agent/waagent.pid")
    assert pidfile.claim(guest.system, path) is None
    assert path.read_text() == OURS
