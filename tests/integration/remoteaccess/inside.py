"""useradd, chpasswd, userdel and sudo on a machine that is thrown away.

Started by ``test_users_real``; anywhere else everything here fails before it does anything.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.guest_floor.programs import output, run
from tests.integration.remoteaccess.lender import SUDOERS, Lender, check_gone, check_whole
from tests.support.accounts import Killed, KillingRunner
from waagent.core.system import real_system
from waagent.guest import accounts

OVER_S = 8 * 3600.0
MOST_STEPS = 20


@pytest.fixture
def somebody() -> Iterator[str]:
    """An ordinary user of the machine."""
    output("useradd", "-m", "-c", "Some Body", "somebody")
    yield "somebody"
    output("userdel", "-r", "somebody")


def test_user_is_whole_stays_and_goes_when_its_time_is_over(lender: Lender) -> None:
    access = lender.grant("jit", "jit2")
    lender.users.apply(access)
    check_whole("jit")
    check_whole("jit2")
    lender.start().apply(access)
    check_whole("jit")
    lender.clock.advance(OVER_S)
    lender.users.apply(access)
    check_gone("jit")
    check_gone("jit2")
    assert not SUDOERS.exists()


def test_account_of_somebody_else_stays_as_it_is(lender: Lender, somebody: str) -> None:
    before = {name: Path(f"/etc/{name}").read_bytes() for name in ("passwd", "shadow", "group")}
    lender.users.apply(lender.grant(somebody, "root", "daemon"))
    lender.users.apply(None)
    assert {name: Path(f"/etc/{name}").read_bytes() for name in before} == before
    assert Path("/home/somebody").is_dir()
    assert not SUDOERS.exists()


def test_group_of_that_name_is_not_taken_along(lender: Lender, somebody: str) -> None:
    output("groupadd", "crew")
    output("usermod", "-a", "-G", "crew", somebody)
    lender.users.apply(lender.grant("crew"))
    lender.users.apply(None)
    assert output("getent", "group", "crew").endswith(f":{somebody}")
    output("groupdel", "crew")


def run_as(user: str, *prefix: str) -> subprocess.Popen[bytes]:
    """Something that a user leaves running; it ends with our end of its input."""
    argv = [*prefix, "setpriv", f"--reuid={user}", "--clear-groups", "sh", "-c", "echo; exec cat"]
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    return child


def test_processes_of_a_removed_user_end_but_not_those_in_containers(lender: Lender) -> None:
    lender.users.apply(lender.grant("jit"))
    uid = str(accounts.read_account(real_system(), "jit").uid)
    contained = run_as(uid, "unshare", "-p", "--fork")
    session, other = run_as(uid), run_as("65534")
    try:
        lender.users.apply(None)
        assert session.wait(20) == -signal.SIGKILL
        check_gone("jit")
        assert contained.poll() is None
        assert other.poll() is None
    finally:
        for child in (contained, session, other):
            child.communicate()


def test_user_who_shares_a_number_does_not_end_the_others_processes(
    lender: Lender, somebody: str
) -> None:
    lender.users.apply(lender.grant("jit"))
    uid = accounts.read_account(real_system(), "jit").uid
    output("usermod", "-o", "-u", str(uid), somebody)
    process = run_as(str(uid))
    try:
        lender.users.apply(None)
        assert process.poll() is None
        assert run("getent", "passwd", "jit").returncode != 0
    finally:
        process.communicate()


def test_disk_that_is_mounted_in_the_home_is_not_emptied(lender: Lender) -> None:
    lender.users.apply(lender.grant("jit"))
    disk = Path("/home/jit/disk")
    disk.mkdir()
    output("mount", "-t", "tmpfs", "tmpfs", str(disk))
    try:
        (disk / "data").write_text("kept")
        lender.users.apply(None)
        assert run("getent", "passwd", "jit").returncode != 0
        assert (disk / "data").read_text() == "kept"
    finally:
        output("umount", str(disk))
        output("rm", "-r", "/home/jit")


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_agent_that_is_killed_between_programs_finishes_at_its_next_start(
    lender: Lender, *, is_after: bool
) -> None:
    for wanted in (lender.grant("jit"), None):
        steps = 0
        for step in range(MOST_STEPS):
            lender.start().apply(lender.grant("jit") if wanted is None else None)
            runner = KillingRunner(real_system().runner, step, is_after=is_after)
            try:
                lender.start(runner).apply(wanted)
                break
            except Killed:
                steps += 1
            lender.start().apply(wanted)
            if wanted is None:
                check_gone("jit")
            else:
                check_whole("jit")
        assert 0 < steps < MOST_STEPS


def test_account_whose_home_useradd_did_not_finish_is_made_anew(lender: Lender) -> None:
    output("useradd", "-m", "-c", "JIT_Account", "jit")
    os.chown("/home/jit", 0, 0)
    lender.users.apply(lender.grant("jit"))
    check_whole("jit")


def test_account_of_which_userdel_left_half_is_lent_again(lender: Lender) -> None:
    """It takes the line of /etc/passwd away first, after the home."""
    lender.users.apply(lender.grant("jit"))
    lender.leaving.note("jit", accounts.read_account(real_system(), "jit").gid)
    output("rm", "-r", "/home/jit")
    output("sed", "-i", "/^jit:/d", "/etc/passwd")
    lender.start().apply(lender.grant("jit"))
    check_whole("jit")
    lender.users.apply(None)
    check_gone("jit")
    assert "jit:" not in Path("/etc/subuid").read_text()


@pytest.mark.parametrize("program", ["useradd", "chpasswd", "userdel"])
def test_program_that_is_killed_while_it_works_is_made_up_for(lender: Lender, program: str) -> None:
    """Wherever it was, with the lock files that it leaves."""
    for name in ("passwd", "shadow", "gshadow"):
        lender.start().apply(None if program != "userdel" else lender.grant("jit"))
        lock = Path(f"/etc/{name}.lock")
        with subprocess.Popen(["true"]) as dead:
            pass
        lock.write_text(f"{dead.pid}\0")
        assert not Path(f"/proc/{dead.pid}").exists()
        if program == "userdel":
            lender.start().apply(None)
            check_gone("jit")
        else:
            lender.start().apply(lender.grant("jit"))
            check_whole("jit")
        assert not lock.exists()
