"""Commands: real processes that talk, stay silent, hang, or leave something behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from waagent.core.clock import SystemClock
from waagent.core.commands import CANNOT_START, MAX_OUTPUT, ProcessRunner, Result, Spawn
from waagent.core.errors import CommandFailed, CommandTimedOut

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
SIGNATURE = "sig=c2VjcmV0c2VjcmV0"


@pytest.fixture
def runner() -> ProcessRunner:
    """The real runner with an environment of its own."""
    return ProcessRunner({"PATH": PATH, "LANG": "de_DE.UTF-8"})


def sh(runner: ProcessRunner, script: str, stdin: bytes = b"", timeout_s: float = 20.0) -> Result:
    """Run a shell script."""
    return runner.run(("sh", "-c", script), stdin=stdin, timeout_s=timeout_s)


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has ended too."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in ("Z", "X")


def await_gone(pid: int) -> bool:
    """Wait for the end of a process, not for long."""
    clock = SystemClock()
    return any(gone(pid) or clock.wait(None, 0.01) for _ in range(500))


def open_descriptors() -> int:
    """How many descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_command_gives_code_and_both_streams(runner: ProcessRunner) -> None:
    """Each stream for itself, and both for messages."""
    result = sh(runner, "echo out; echo err >&2; exit 3")
    assert (result.code, result.stdout, result.stderr) == (3, "out\n", "err\n")
    assert not result.ok
    assert result.output == "out\nerr"


def test_command_ended_by_a_signal_has_its_negative_number_as_code(runner: ProcessRunner) -> None:
    """As subprocess has it."""
    assert sh(runner, "kill -KILL $$").code == -signal.SIGKILL


def test_command_reads_a_standard_input_larger_than_any_pipe(runner: ProcessRunner) -> None:
    """Feeding and reading go on at the same time."""
    data = b"0123456789abcdef" * 64 * 1024
    result = runner.run(("cat",), stdin=data, timeout_s=20.0)
    assert result.stdout.encode() == data


def test_command_that_does_not_read_its_input_is_no_error(runner: ProcessRunner) -> None:
    """A broken pipe is the command's own choice."""
    assert sh(runner, "exit 0", stdin=b"x" * 1024 * 1024).ok


def test_command_that_closes_its_input_still_runs_to_its_end(runner: ProcessRunner) -> None:
    """What it prints afterwards counts."""
    assert sh(runner, "exec <&-; echo later", stdin=b"x" * 1024 * 1024).stdout == "later\n"


def test_command_without_input_reads_an_empty_one(runner: ProcessRunner) -> None:
    """And not the agent's own."""
    assert runner.run(("cat",), stdin=None, timeout_s=20.0) == Result(("cat",), 0)


def test_command_output_is_bounded_and_the_rest_is_drained(runner: ProcessRunner) -> None:
    """A command that prints without end does not fill the memory, nor block."""
    result = sh(runner, f"head -c {MAX_OUTPUT + 300_000} /dev/zero | tr '\\0' x; echo end >&2")
    assert result.code == 0
    assert result.stdout == "x" * MAX_OUTPUT
    assert result.stderr == "end\n"


def test_command_output_that_is_not_utf8_is_escaped(runner: ProcessRunner) -> None:
    """It is for people; nothing is lost."""
    assert sh(runner, r"printf 'a\377b'").stdout == "a\\xffb"


def test_command_runs_in_the_c_locale_and_is_marked_as_ours(runner: ProcessRunner) -> None:
    """Its output is read by us; the marker is what extensions look for."""
    words = sh(runner, 'echo "$LC_ALL $LANG $AZURE_GUEST_AGENT_PARENT_PROCESS_NAME"').stdout.split()
    assert words == ["C", "de_DE.UTF-8", "AZURE_GUEST_AGENT"]


def test_command_inherits_no_environment_but_the_one_given(runner: ProcessRunner) -> None:
    """What the agent was started with does not leak."""
    names = {line.partition("=")[0] for line in sh(runner, "env").stdout.splitlines()}
    ours = {"PATH", "LANG", "LC_ALL", "AZURE_GUEST_AGENT_PARENT_PROCESS_NAME"}
    assert ours <= names <= ours | {"PWD", "OLDPWD", "SHLVL", "_"}


def test_command_inherits_no_descriptor(runner: ProcessRunner, tmp_path: Path) -> None:
    """A log or a key that is open here is not open there."""
    with (tmp_path / "secret").open("wb") as stream:
        listed = sh(runner, f"ls /proc/self/fd | grep -x {stream.fileno()} || echo none")
    assert listed.stdout == "none\n"


@pytest.mark.parametrize("argv", [("no-such-program-anywhere",), ("/etc/hostname/x",)])
def test_missing_program_is_code_minus_one(runner: ProcessRunner, argv: tuple[str, ...]) -> None:
    """Not an exception: whoever must have it asks for ``check``."""
    result = runner.run(argv, stdin=None, timeout_s=1.0)
    assert result.code == CANNOT_START
    assert result.stderr


def test_program_that_may_not_be_run_is_code_minus_one(
    runner: ProcessRunner, tmp_path: Path
) -> None:
    """A script without its bit."""
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n", encoding="ascii")
    script.chmod(0o644)
    assert runner.run((str(script),), stdin=None, timeout_s=1.0).code == CANNOT_START


def test_argument_with_a_nul_is_code_minus_one(runner: ProcessRunner) -> None:
    """Such a text comes from outside and is no defect of ours."""
    assert runner.run(("echo", "a\0b"), stdin=None, timeout_s=1.0).code == CANNOT_START


def test_late_command_is_killed_with_its_group(runner: ProcessRunner) -> None:
    """Its children too; what it had printed is in the error."""
    with pytest.raises(CommandTimedOut) as caught:
        sh(runner, "sleep 300 & echo $! $$; echo why >&2; wait", timeout_s=0.3)
    child, itself = (int(word) for word in caught.value.output.split()[:2])
    assert await_gone(child)
    assert await_gone(itself)
    assert caught.value.output.endswith("\nwhy")
    assert "did not end within 0.3 s and was killed" in str(caught.value)
    assert caught.value.code == -1


def test_late_command_that_ignores_termination_is_killed_all_the_same(
    runner: ProcessRunner,
) -> None:
    """There is no second chance to be polite."""
    with pytest.raises(CommandTimedOut) as caught:
        sh(runner, "trap '' TERM INT HUP; echo $$; while :; do sleep 1; done", timeout_s=0.3)
    assert await_gone(int(caught.value.output))


def test_command_that_prints_without_end_is_stopped_in_time(runner: ProcessRunner) -> None:
    """Output is no sign of an end."""
    with pytest.raises(CommandTimedOut) as caught:
        sh(runner, "yes", timeout_s=0.3)
    assert caught.value.output.startswith("y\ny\n")


def test_service_left_in_the_background_does_not_hold_the_command(runner: ProcessRunner) -> None:
    """It keeps the pipe open for minutes; the command itself has ended."""
    started = time.monotonic()
    result = sh(runner, "sleep 300 & echo $!", timeout_s=60.0)
    try:
        assert time.monotonic() - started < 10.0
        assert result.ok
        assert not gone(int(result.stdout))
    finally:
        os.kill(int(result.stdout), signal.SIGKILL)


def test_last_words_of_a_child_that_outlives_the_command_are_heard(runner: ProcessRunner) -> None:
    """A pipeline whose end is a moment late is complete."""
    assert sh(runner, "(sleep 0.1; echo late) & echo early").stdout == "early\nlate\n"


def test_runs_leave_no_descriptor_behind(runner: ProcessRunner) -> None:
    """A daemon runs for years."""
    before = open_descriptors()
    for _ in range(5):
        sh(runner, "cat; echo err >&2", stdin=b"in")
        runner.run(("no-such-program-anywhere",), stdin=b"x", timeout_s=1.0)
        with pytest.raises(CommandTimedOut):
            sh(runner, "sleep 300", timeout_s=0.02)
    assert open_descriptors() == before


def test_commands_of_several_threads_do_not_disturb_each_other(runner: ProcessRunner) -> None:
    """Workers run commands side by side."""
    seen: list[str] = []

    def work(number: int) -> None:
        seen.append(runner.run(("cat",), stdin=b"%d" % number, timeout_s=20.0).stdout)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [str(number) for number in range(8)]


def test_check_passes_a_success_on_and_raises_a_failure(runner: ProcessRunner) -> None:
    """The error names the command, the code and what was printed."""
    good = sh(runner, "echo fine")
    assert good.check() is good
    with pytest.raises(CommandFailed, match=r"^'sh -c exit 4' failed: 4 \(\)$"):
        sh(runner, "exit 4").check()


def test_failed_command_shows_no_signature(runner: ProcessRunner) -> None:
    """Neither of its arguments nor of its output."""
    url = f"https://account.example/c/b?sv=1&{SIGNATURE}"
    with pytest.raises(CommandFailed) as caught:
        sh(runner, f"echo 'cannot fetch {url}'; exit 1").check()
    assert "c2VjcmV0" not in str(caught.value) + caught.value.output + str(caught.value.argv)


def test_started_child_runs_on_and_tells_its_end(runner: ProcessRunner, tmp_path: Path) -> None:
    """The descriptor speaks at its exit, and is given back when the code is known."""
    before = open_descriptors()
    with (tmp_path / "out").open("wb") as out:
        spawn = Spawn(("sh", "-c", "pwd; read x; exit 7"), cwd=tmp_path, stdout=out)
        child = runner.start(spawn)
    descriptor = child.descriptor()
    assert descriptor is not None
    assert not SystemClock().wait(None, 20.0, descriptor)
    assert child.poll() == 7
    assert child.poll() == 7
    assert child.descriptor() is None
    assert (tmp_path / "out").read_text(encoding="utf-8") == f"{tmp_path}\n"
    assert open_descriptors() == before


def test_commands_and_children_have_no_channel_to_systemd() -> None:
    channel = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}
    runner = ProcessRunner({"PATH": PATH, **channel})
    printed = runner.run(("env",), stdin=None, timeout_s=10).stdout
    assert "PATH=" in printed
    assert "NOTIFY" not in printed
    assert "WATCHDOG" not in printed


def test_started_child_has_the_environment_it_is_given_and_the_machines_locale(
    runner: ProcessRunner, tmp_path: Path
) -> None:
    """Extensions speak the language of the machine."""
    said = []
    for environment in (None, {"PATH": PATH, "ONLY": "this"}):
        with (tmp_path / "out").open("wb") as out:
            argv = ("sh", "-c", 'echo "$LANG|$LC_ALL|$ONLY"')
            child = runner.start(Spawn(argv, env=environment, stdout=out))
        SystemClock().wait(None, 20.0, child.descriptor() or -1)
        assert child.poll() == 0
        said.append((tmp_path / "out").read_text(encoding="ascii"))
    assert said == ["de_DE.UTF-8||\n", "||this\n"]


def test_started_child_is_killed_with_everything_in_its_group(
    runner: ProcessRunner, tmp_path: Path
) -> None:
    """And a signal to one that is gone is no error."""
    told = tmp_path / "told"
    os.mkfifo(told)
    script = f"sleep 300 & echo $! > {told}; wait"
    child = runner.start(Spawn(("sh", "-c", script)))
    grandchild = int(told.read_text(encoding="ascii"))
    child.kill_group()
    SystemClock().wait(None, 20.0, child.descriptor() or -1)
    assert child.poll() == -signal.SIGKILL
    assert await_gone(grandchild)
    child.send(signal.SIGTERM)
    child.kill_group()


def test_child_that_shares_our_group_is_killed_alone(runner: ProcessRunner) -> None:
    """This process is in that group, and is still here to say so."""
    child = runner.start(Spawn(("sleep", "300"), new_session=False))
    assert os.getpgid(child.pid) == os.getpgid(0)
    child.kill_group()
    SystemClock().wait(None, 20.0, child.descriptor() or -1)
    assert child.poll() == -signal.SIGKILL


def test_child_that_cannot_be_started_is_an_error(runner: ProcessRunner, tmp_path: Path) -> None:
    """Whoever starts it wants it to run."""
    with pytest.raises(CommandFailed, match="No such file or directory"):
        runner.start(Spawn((str(tmp_path / "missing"),)))
    with pytest.raises(CommandFailed):
        runner.start(Spawn((sys.executable, "a\0b")))
