"""Accounts are changed beside other programs, after crashes, and on disks that take nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.machine import Machine
from tests.support.runner import Answers, Argv, fails, ok
from waagent.core.errors import GuestError
from waagent.guest.users import ensure_user, set_password

LOCKED = "useradd: cannot lock /etc/passwd; try again later."


def test_user_is_created_when_another_program_has_let_go(tmp_path: Path) -> None:
    commands: dict[Argv, Answers] = {("useradd",): [fails(1, LOCKED), fails(1, LOCKED), ok()]}
    files = {"/etc/passwd.lock": "7", "/proc/7/stat": ""}
    guest = Machine(files=files, commands=commands).boot(tmp_path)
    assert ensure_user(guest.system, "azu")
    assert guest.clock.waits == [1.0, 1.0]
    assert guest.path("/etc/passwd.lock").exists()


def test_user_cannot_be_created_while_another_program_never_lets_go(tmp_path: Path) -> None:
    files = {"/etc/passwd.lock": "7", "/proc/7/stat": ""}
    guest = Machine(files=files, commands={("useradd",): fails(1, LOCKED)}).boot(tmp_path)
    with pytest.raises(GuestError, match="cannot lock /etc/passwd"):
        ensure_user(guest.system, "azu")
    assert sum(guest.clock.waits) == 14.0


@pytest.mark.parametrize(
    "words",
    [
        "No space left on device",
        "Disk quota exceeded",
        "Read-only file system",
        "Input/output error",
    ],
)
def test_disk_that_takes_no_lock_is_not_waited_for(tmp_path: Path, words: str) -> None:
    said = f"/etc/passwd.20 file write error: {words}\n{LOCKED}"
    commands: dict[Argv, Answers] = {
        ("useradd",): [fails(1, said)],
        ("chpasswd",): [fails(1, f"azu:secret: {said}")],
    }
    guest = Machine(commands=commands).boot(tmp_path)
    with pytest.raises(GuestError, match=words):
        ensure_user(guest.system, "azu")
    with pytest.raises(GuestError, match=rf"chpasswd ended with 1 \({words}\)$"):
        set_password(
            guest.system,
            "azu",
            "secret",
            crypt_id="6",
            salt_length=10,
            allow_system_user=False,
        )
    assert guest.clock.waits == []


@pytest.mark.parametrize("left", ["", "7", "no pid\n", "\0\0"])
def test_lock_that_a_crash_left_does_not_keep_users_out(tmp_path: Path, left: str) -> None:
    commands: dict[Argv, Answers] = {("useradd",): [fails(1, LOCKED), ok()]}
    guest = Machine(files={"/etc/shadow.lock": left}, commands=commands).boot(tmp_path)
    assert ensure_user(guest.system, "azu")
    assert not guest.path("/etc/shadow.lock").exists()
    assert guest.clock.waits == []


@pytest.mark.parametrize(("age_s", "is_dead"), [(3601, True), (3599, False)])
def test_lock_of_an_earlier_boot_is_dead_whoever_has_its_number_now(
    tmp_path: Path, age_s: int, is_dead: bool
) -> None:
    files = {"/etc/passwd.lock": "7", "/proc/7/stat": "", "/proc/uptime": "3600.00 1.00\n"}
    commands: dict[Argv, Answers] = {("useradd",): [fails(1, LOCKED), ok()]}
    guest = Machine(files=files, commands=commands).boot(tmp_path)
    made = guest.clock.now().timestamp() - age_s
    os.utime(guest.path("/etc/passwd.lock"), (made, made))
    assert ensure_user(guest.system, "azu")
    assert guest.path("/etc/passwd.lock").exists() is not is_dead


def test_lock_that_is_a_link_is_not_ours_to_judge(tmp_path: Path) -> None:
    machine = Machine(
        files={"/etc/x": ""},
        symlinks={"/etc/passwd.lock": "/etc/x"},
        commands={("useradd",): fails(1, LOCKED)},
    )
    guest = machine.boot(tmp_path)
    with pytest.raises(GuestError):
        ensure_user(guest.system, "azu")
    assert guest.path("/etc/x").exists()
