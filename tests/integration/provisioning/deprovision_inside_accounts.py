"""What deprovision makes of accounts, their homes and their lines in sudoers.

Started by ``test_deprovision_real``; anywhere else everything fails before it does anything.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.integration.provisioning import generalized as machine
from tests.integration.provisioning.generalized import (
    LIB,
    NAMESAKE,
    SYSTEM_USER,
    USER,
    run_waagent,
    write,
)


def test_account_whose_home_was_left_by_a_crash_is_gone_after_another_run() -> None:
    """userdel was killed between its two halves."""
    machine.make_used()
    subprocess.run(["userdel", "-f", USER], check=True, capture_output=True)
    assert Path(f"/home/{USER}").is_dir()
    assert run_waagent("-deprovision+user", "-force").returncode == 0
    assert not Path(f"/home/{USER}").exists()


def test_home_that_became_another_users_is_left_and_the_rest_of_the_account_goes() -> None:
    machine.make_used()
    subprocess.run(["userdel", "-f", USER], check=True, capture_output=True)
    shutil.chown(f"/home/{USER}", NAMESAKE)
    done = run_waagent("-deprovision+user", "-force")
    assert done.returncode == 0, done.stdout
    assert f"left alone: /home/{USER}: it is not {USER}'s, but of the user" in done.stdout
    assert Path(f"/home/{USER}").is_dir()
    assert machine.SUDOERS.read_text("utf-8") == f"{NAMESAKE} ALL=(ALL) NOPASSWD: ALL\n"
    assert list(LIB.iterdir()) == []
    shutil.rmtree(f"/home/{USER}")


def test_lines_that_visudo_refused_are_shown_and_go_with_the_account() -> None:
    machine.make_used()
    names = ("waagent.broken", "waagent.new", ".waagent.new.0123456789ab")
    beside = [machine.SUDOERS.with_name(name) for name in names]
    for path in beside:
        write(path, f"{USER} has ALL\n")
    machine.SUDOERS.write_text(f"bad bad\n{USER} ALL=(ALL) ALL\n", "utf-8")
    assert run_waagent("-deprovision", "-force").returncode == 0
    assert all(path.exists() for path in beside), "the accounts were to stay"
    machine.make_used()
    machine.SUDOERS.write_text(f"bad bad\n{USER} ALL=(ALL) ALL\n", "utf-8")
    done = run_waagent("-deprovision+user", "-force")
    assert done.returncode == 0, done.stdout
    assert [path for path in beside if f"      {path}" not in done.stdout.splitlines()] == []
    assert [path for path in beside if path.exists()] == []
    assert machine.SUDOERS.read_text("utf-8") == "bad bad\n"


def test_system_user_is_not_deleted() -> None:
    machine.make_used()
    ovf = (LIB / "ovf-env.xml").read_text("utf-8").replace(USER, SYSTEM_USER)
    write(LIB / "ovf-env.xml", ovf)
    done = run_waagent("-deprovision+user", "-force")
    assert done.returncode == 0
    assert f"{SYSTEM_USER} is a system user. Will not delete it." in done.stdout
    assert machine.has_account(SYSTEM_USER)
    assert list(LIB.iterdir()) == []


def test_user_who_runs_processes_is_deleted_all_the_same() -> None:
    machine.make_used()
    argv = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "sleep", "60"]
    busy = subprocess.Popen(argv)
    try:
        assert run_waagent("-deprovision+user", "-force").returncode == 0
    finally:
        busy.kill()
        busy.wait()
    assert not machine.has_account(USER)
    assert not Path(f"/home/{USER}").exists()
