"""Deprovision for real: users, keys, files, mounts, signals; on a machine that is thrown away.

Started by ``test_deprovision_real``; anywhere else everything fails before it does anything.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest

from tests.integration.provisioning import generalized as machine
from tests.integration.provisioning.generalized import (
    BYSTANDER,
    EXTENSION_LOGS,
    LIB,
    NAMESAKE,
    SSH,
    USER,
    command,
    run_waagent,
    write,
)
from waagent.core.clock import Stop
from waagent.core.conf import read_conf
from waagent.core.context import Context
from waagent.core.events import Events
from waagent.core.paths import make_paths
from waagent.core.system import real_system
from waagent.guest.profiles import read_profile
from waagent.guest.release import read_release
from waagent.provisioning.deprovision import Wish, deprovision
from waagent.provisioning.deprovision_look import look
from waagent.provisioning.deprovision_plan import plan_deprovision

WARNINGS = [
    "WARNING! The waagent service will be stopped.",
    "WARNING! All SSH host key pairs will be deleted.",
    "WARNING! Cached DHCP leases will be deleted.",
    "WARNING! root password will be disabled. You will not be able to login as root.",
    "WARNING! /etc/resolv.conf will be deleted.",
]
USER_WARNING = f"WARNING! {USER} account and entire home directory will be deleted."
KILLED = -signal.SIGKILL


class Script:
    """A terminal that says yes, and ends the process when a line is said for the n-th time."""

    def __init__(self, kill_at: Optional[int] = None) -> None:
        self._left = kill_at
        self._is_committed = False

    def say(self, line: str) -> None:
        """Count the steps."""
        if self._is_committed and self._left is not None and line[:3].strip().isdigit():
            self._left -= 1
            if self._left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def ask(self, _question: str) -> Optional[str]:
        """Yes."""
        return "y"

    def commit(self) -> None:
        """From here on."""
        self._is_committed = True


def make_context() -> Context:
    system = real_system()
    conf = read_conf(machine.CONF).conf
    paths = make_paths(system, conf)
    return Context(system, conf, paths, Events(paths.events, system.clock), Stop())


def deprovision_in_a_process(kill_at: Optional[int] = None) -> int:
    """The code of a process that deprovisions, or minus the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        code = 99
        with contextlib.suppress(BaseException):
            context = make_context()
            profile = read_profile(context.system, read_release(context.system))
            code = deprovision(context, profile, Wish(with_user=True), Script(kill_at))
        os._exit(code)
    status = os.waitpid(pid, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def count_steps() -> int:
    machine.make_used()
    context = make_context()
    profile = read_profile(context.system, read_release(context.system))
    return len(
        plan_deprovision(context.conf, profile, look(context, profile), with_user=True).steps
    )


@contextlib.contextmanager
def mounted(point: Path, *argv: str) -> Iterator[Path]:
    """Something is mounted there."""
    point.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", *argv, str(point)], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", str(point)], check=True)


def files_in_etc_with(word: str) -> list[str]:
    """As a whole word: another user's name may begin with it."""
    argv = ["grep", "-rlwF", "-e", word, "/etc"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout.split()


def test_real_command_leaves_nothing_of_the_old_machine() -> None:
    machine.make_used()
    done = run_waagent("-deprovision+user", "-force")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("WARNING!")] == [*WARNINGS, USER_WARNING]
    assert not machine.has_account(USER)
    assert not Path(f"/home/{USER}").exists()
    assert [path for path in (*machine.KEPT_FOR_USER, *machine.BACKUPS) if path.exists()] == []
    assert files_in_etc_with(USER) == []
    assert files_in_etc_with(machine.OLD_NAME) == []
    assert machine.has_account(NAMESAKE)
    assert machine.SUDOERS.read_text("utf-8") == f"{NAMESAKE} ALL=(ALL) NOPASSWD: ALL\n"
    assert machine.SUDOERS.stat().st_mode & 0o777 == 0o440
    assert not machine.CLOUD_SUDOERS.exists()
    assert list(LIB.iterdir()) == []
    assert list(EXTENSION_LOGS.iterdir()) == []
    assert sorted(path.name for path in SSH.glob("*ssh_host*")) == [
        "ssh_host_keys_of_mine",
        "ssh_host_rsa_key-cert.pub",
    ]
    assert [lease for lease in machine.LEASES if Path(lease).exists()] == []
    assert not list(Path("/var/log").glob("waagent.log*"))
    assert Path("/var/log/syslog.9").exists()
    assert not machine.RESOLV.exists()
    assert not machine.HISTORY.exists()
    assert os.uname().nodename == "localhost.localdomain"
    assert Path("/etc/hostname").read_text("utf-8").strip() == "localhost.localdomain"
    assert 'send host-name "localhost.localdomain";' in Path("/etc/dhcp/dhclient.conf").read_text(
        "utf-8"
    )
    assert Path("/etc/shadow").read_text("utf-8").startswith("root:*LOCK*:14600::::::\n")
    assert machine.POOL.read_bytes() == b""
    assert (BYSTANDER / "keep").read_text("utf-8") == "not ours\n"
    service = read_profile(real_system(), read_release(real_system())).agent_service
    left = [name for name in machine.GENERATED if (machine.UNITS / name).exists()]
    assert [name for name in left if name.startswith((f"{service}.", f"{service}-"))] == []


def test_second_run_finds_nothing_to_do_and_says_that_the_user_is_unknown() -> None:
    machine.make_used()
    assert deprovision_in_a_process() == 0
    before = machine.snapshot()
    done = run_waagent("-deprovision+user", "-force")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    skipped = ["WARNING! ovf-env.xml is not found.", "WARNING! Skip delete user."]
    assert [line for line in lines if line.startswith("WARNING!")] == [*WARNINGS, *skipped]
    assert machine.snapshot() == before


def test_machine_is_the_same_wherever_the_first_run_was_killed() -> None:
    """SIGKILL after each step, and a second run: as if it had never been interrupted."""
    machine.make_used()
    assert deprovision_in_a_process() == 0
    expected = machine.snapshot()
    steps = count_steps()
    table = {}
    for step in range(steps):
        machine.make_used()
        assert deprovision_in_a_process(kill_at=step) == KILLED
        is_whole = machine.snapshot() == expected
        assert deprovision_in_a_process() == 0
        table[step] = (is_whole, machine.snapshot() == expected)
    assert [step for step, (_, is_same) in table.items() if not is_same] == []
    assert [step for step, (is_whole, _) in table.items() if is_whole] in ([], [steps - 1])


def test_dry_run_changes_nothing_and_shows_what_would_go() -> None:
    machine.make_used()
    before = machine.snapshot()
    done = run_waagent("-deprovision+user", "-dry-run", "-force")
    assert done.returncode == 0
    assert machine.snapshot() == before
    for shown in (f"{SSH}/ssh_host_ed25519_key", f"{LIB}/ABCDEF.prv", machine.LEASES[0]):
        assert f"      {shown}" in done.stdout.splitlines()
    assert f"{LIB}/link-to-homes (the link; not /home)" in done.stdout
    assert USER_WARNING in done.stdout
    assert done.stdout.endswith("Nothing has been changed: this was a dry run\n")


@pytest.mark.parametrize(
    ("answer", "code", "end"),
    [("n\n", 0, "Nothing has been changed"), ("\n", 0, "Nothing has been changed"), ("", 1, "yet")],
    ids=["no", "empty line", "end of input"],
)
def test_nothing_is_done_without_a_yes(answer: str, code: int, end: str) -> None:
    machine.make_used()
    before = machine.snapshot()
    done = run_waagent("-deprovision+user", stdin=answer)
    assert done.returncode == code
    assert machine.snapshot() == before
    assert "Do you want to proceed (y/n)" in done.stdout
    assert ("nothing has been changed" if end == "yet" else end) in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_what_is_mounted_in_the_state_is_left_and_named(kind: str) -> None:
    machine.make_used()
    argv = ("-t", "tmpfs", "tmpfs") if kind == "tmpfs" else ("--bind", str(BYSTANDER))
    with mounted(LIB / "Some.Handler-1.0.0/data", *argv) as point:
        write(point / "precious", "on another disk")
        done = run_waagent("-deprovision", "-force")
        assert done.returncode == 0, done.stdout
        assert (point / "precious").read_text("utf-8") == "on another disk"
        assert f"left alone: {point}: a mount point of " in done.stdout
        assert [path.name for path in LIB.iterdir()] == ["Some.Handler-1.0.0"]
        assert [path.name for path in point.parent.iterdir()] == ["data"]
    (BYSTANDER / "precious").unlink(missing_ok=True)


def test_state_that_is_a_mount_of_its_own_is_refused_and_the_rest_is_done() -> None:
    machine.make_used()
    with mounted(LIB, "--bind", str(BYSTANDER)):
        done = run_waagent("-deprovision", "-force")
        assert done.returncode == 1
        assert f'cannot empty "{LIB}": it is a mount point of ' in done.stdout
        assert (BYSTANDER / "keep").exists()
        assert not (SSH / "ssh_host_ed25519_key").exists()
        assert list(EXTENSION_LOGS.iterdir()) == []


def test_account_with_a_disk_in_its_home_stays_and_so_does_its_name() -> None:
    """userdel would empty that disk. The saved document stays for the run after this one."""
    machine.make_used()
    with mounted(Path(f"/home/{USER}/data"), "-t", "tmpfs", "tmpfs") as point:
        write(point / "precious", "on another disk")
        done = run_waagent("-deprovision+user", "-force")
        assert done.returncode == 1
        assert f"cannot delete the account {USER}: {point} is a mount point of" in done.stdout
        assert (point / "precious").exists()
        assert machine.has_account(USER)
        assert [path.name for path in LIB.iterdir()] == ["ovf-env.xml"]
    assert run_waagent("-deprovision+user", "-force").returncode == 0
    assert not machine.has_account(USER)
    assert list(LIB.iterdir()) == []


@pytest.mark.parametrize("target", ["/", "/home", "/var", "/var/lib", "/etc/ssh", f"/home/{USER}"])
def test_state_folder_that_leads_out_is_refused(target: str) -> None:
    machine.make_used()
    link = Path("/var/lib/agent-link")
    link.unlink(missing_ok=True)
    link.symlink_to(target)
    write(machine.CONF, f"{machine.SETTINGS}Lib.Dir={link}\n")
    before = {path.name for path in Path(target).iterdir()}
    done = run_waagent("-deprovision", "-force")
    assert done.returncode == 1
    assert f'cannot empty "{target}": ' in done.stdout
    gone = before - {path.name for path in Path(target).iterdir()}
    assert {name for name in gone if "ssh_host" not in name} == set()


def test_file_that_cannot_be_removed_is_reported_and_the_rest_is_done() -> None:
    machine.make_used()
    write(BYSTANDER / "sub/dhclient.leases", "lease")
    leases = Path("/var/lib/udhcpc")
    shutil.rmtree(leases)
    with mounted(BYSTANDER, "--bind", str(BYSTANDER)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(BYSTANDER)], check=True)
        leases.symlink_to(BYSTANDER / "sub")
        done = run_waagent("-deprovision+user", "-force")
        leases.unlink()
    assert done.returncode == 1
    assert "cannot remove /var/lib/bystander/sub/dhclient.leases: Read-only file" in done.stdout
    assert "Failed to deprovision all of it" in done.stdout
    assert not machine.has_account(USER)
    assert list(LIB.iterdir()) == []


def test_who_is_not_root_is_refused_and_nothing_is_done() -> None:
    machine.make_used()
    before = machine.snapshot()
    pid_file = Path("/run/said")
    pid = os.fork()
    if pid == 0:
        from waagent.cli import deprovision as room
        from waagent.cli.arguments import parse
        from waagent.core.errors import AgentError

        code = 99
        with contextlib.suppress(BaseException):
            context = make_context()
            profile = read_profile(context.system, read_release(context.system))
            options = parse(["-deprovision+user", "-force"])
            with pid_file.open("w", encoding="utf-8") as told:
                os.setresuid(65534, 65534, 65534)
                try:
                    code = room.run(context, profile, options)
                except AgentError as error:
                    told.write(str(error))
                    code = 1
        os._exit(code)
    assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 1
    assert pid_file.read_text("utf-8") == "cannot deprovision: only root can; run it with sudo"
    assert machine.snapshot() == before


def test_reader_that_has_left_does_not_stop_it() -> None:
    """``waagent -deprovision+user -force | head -1``"""
    machine.make_used()
    reader, writer = os.pipe()
    process = subprocess.Popen(command("-deprovision+user", "-force"), stdout=writer)
    os.close(writer)
    os.close(reader)
    assert process.wait(60) == 0
    assert list(LIB.iterdir()) == []
    assert not machine.has_account(USER)


def test_real_process_that_is_killed_is_continued_by_another() -> None:
    """At whatever moment that is: here when it has said that the keys are gone."""
    machine.make_used()
    argv = command("-deprovision+user", "-force")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Done: delete the SSH host keys" in line:
                process.kill()
                break
    assert process.returncode == KILLED
    assert run_waagent("-deprovision+user", "-force").returncode == 0
    assert list(LIB.iterdir()) == []
    assert not machine.has_account(USER)
