"""useradd, chpasswd, visudo and sudo on a machine that is thrown away: odd accounts, odd files.

Started by ``test_guest_real``; anywhere else everything here fails before it does anything.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.guest_floor.programs import PASSWORD, mode, output, run, shadow
from tests.support.clock import ManualClock
from waagent.core.errors import GuestError
from waagent.core.records import replace
from waagent.core.system import System
from waagent.guest import accounts, sudoers, users

SUDOERS = "/etc/sudoers.d"
OURS = Path(f"{SUDOERS}/waagent")


def test_user_has_a_home_and_is_no_system_account(system: System, user: str) -> None:
    account = accounts.read_account(system, user)
    assert Path(account.home).is_dir()
    assert Path(account.home).stat().st_uid == account.uid
    assert not accounts.is_system_account(system, user)
    assert accounts.is_system_account(system, "daemon")
    assert not users.ensure_user(system, user)


def test_user_of_remote_access_ends_on_its_day(system: System) -> None:
    users.ensure_user(system, "jitinside", expires="2031-02-03", comment=users.JIT_COMMENT)
    assert "Feb 03, 2031" in output("chage", "-l", "jitinside")
    assert users.delete_user(system, "jitinside")
    assert accounts.find_account(system, "jitinside") is None
    assert not Path("/home/jitinside").exists()


@pytest.mark.parametrize("crypt_id", ["6", "5"])
def test_password_is_the_one_that_another_program_computes(
    system: System, user: str, crypt_id: str
) -> None:
    users.set_password(
        system, user, PASSWORD, crypt_id=crypt_id, salt_length=10, allow_system_user=False
    )
    stored = shadow(user)[1]
    assert re.fullmatch(rf"\${crypt_id}\$[A-Za-z0-9]{{10}}\$\S+", stored)
    assert output("perl", "-e", "print crypt(<STDIN>, $ARGV[0])", stored, stdin=PASSWORD) == stored


def test_password_by_a_foreign_method_is_left_to_the_guest(system: System, user: str) -> None:
    users.set_password(
        system, user, PASSWORD, crypt_id="y", salt_length=10, allow_system_user=False
    )
    stored = shadow(user)[1]
    assert output("perl", "-e", "print crypt(<STDIN>, $ARGV[0])", stored, stdin=PASSWORD) == stored


def test_root_password_is_locked_and_the_file_as_safe_as_before(system: System) -> None:
    before = Path("/etc/shadow").stat()
    users.lock_root_password(system, shadow_path="/etc/shadow")
    after = Path("/etc/shadow").stat()
    assert shadow("root")[1] == "*LOCK*"
    assert (before.st_mode, before.st_uid, before.st_gid) == (
        after.st_mode,
        after.st_uid,
        after.st_gid,
    )
    assert output("passwd", "-S", "root").split()[1] == "L"


def test_sudo_takes_what_the_agent_writes(system: System, user: str) -> None:
    sudoers.ensure_sudoer(system, user, sudoers_dir=SUDOERS, needs_password=False)
    assert "(ALL) NOPASSWD: ALL" in output("sudo", "-l", "-U", user)
    for name in ("ADMIN", "Azu-1", "jürgen"):
        assert sudoers.ensure_sudoer(system, name, sudoers_dir=SUDOERS, needs_password=True)
    output("visudo", "-c")
    assert mode(f"{SUDOERS}/waagent") == 0o440
    for name in (user, "ADMIN", "Azu-1", "jürgen"):
        assert sudoers.remove_sudoer(system, name, sudoers_dir=SUDOERS)
    assert not Path(f"{SUDOERS}/waagent").exists()


@pytest.fixture
def sudoers_files(system: System) -> Iterator[Path]:
    """The main file as the distribution ships it, and afterwards again."""
    assert system.has_command("sudo")
    main = Path("/etc/sudoers")
    before = main.read_bytes()
    yield main
    main.write_bytes(before)
    for path in Path(SUDOERS).iterdir():
        if path.name != "README":
            path.unlink()


def allow(system: System, user: str) -> bool:
    return sudoers.ensure_sudoer(system, user, sudoers_dir=SUDOERS, needs_password=False)


def becomes_root(user: str) -> bool:
    """Whether the user runs something as root by sudo, without a password."""
    return run("runuser", "-u", user, "--", "sudo", "-n", "id", "-u").stdout.strip() == "0"


@pytest.mark.usefixtures("sudoers_files")
def test_sudoers_file_that_is_broken_already_is_put_right(system: System, user: str) -> None:
    broken = "this is no rule\nroot ALL=(ALL) ALL\n"
    OURS.write_text(broken, encoding="ascii")
    assert allow(system, user)
    assert becomes_root(user)
    output("visudo", "-c")
    assert Path(f"{OURS}.broken").read_text(encoding="ascii") == broken


@pytest.mark.usefixtures("sudoers_files")
def test_sudoers_of_others_that_are_broken_keep_nobody_out(system: System, user: str) -> None:
    other = Path(f"{SUDOERS}/other")
    other.write_text("bad bad\n", encoding="ascii")
    other.chmod(0o440)
    assert run("visudo", "-c").returncode != 0
    assert allow(system, user)
    assert becomes_root(user)
    assert other.read_text(encoding="ascii") == "bad bad\n"


def test_sudoers_folder_that_nothing_includes_is_included(
    system: System, user: str, sudoers_files: Path
) -> None:
    sudoers_files.write_text("Defaults env_reset\nroot ALL=(ALL) ALL", encoding="ascii")
    allow(system, user)
    assert becomes_root(user)
    once = sudoers_files.read_bytes()
    assert not allow(system, user)
    assert sudoers_files.read_bytes() == once
    output("visudo", "-c")


@pytest.mark.usefixtures("sudoers_files")
def test_sudoer_is_made_without_visudo(system: System, user: str) -> None:
    output("mv", "/usr/sbin/visudo", "/run/visudo")
    assert allow(system, user)
    output("mv", "/run/visudo", "/usr/sbin/visudo")
    assert becomes_root(user)


def test_user_whose_group_exists_is_created(system: System) -> None:
    output("groupadd", "-g", "4242", "admin")
    assert users.ensure_user(system, "admin")
    assert accounts.read_account(system, "admin").gid == 4242


@pytest.mark.parametrize(
    "name", ["a b", "-x", "--root=/x", "..", ".", "a/b", "x" * 33, "a,b", "a:b", "a\nb", ""]
)
def test_name_that_is_none_makes_no_user(system: System, name: str) -> None:
    before = Path("/etc/passwd").read_bytes()
    with pytest.raises(GuestError):
        users.ensure_user(system, name)
    assert Path("/etc/passwd").read_bytes() == before


@pytest.mark.parametrize("left", ["", "999999", "no pid\n"])
@pytest.mark.parametrize("name", ["passwd", "shadow", "group", "gshadow"])
def test_lock_that_a_crash_left_keeps_no_user_out(system: System, name: str, left: str) -> None:
    lock = Path(f"/etc/{name}.lock")
    lock.write_text(left, encoding="ascii")
    user = f"u{name}{len(left)}"
    assert users.ensure_user(system, user)
    lock.write_text(left, encoding="ascii")
    users.set_password(
        system, user, PASSWORD, crypt_id="6", salt_length=10, allow_system_user=False
    )
    assert shadow(user)[1].startswith("$6$")


def test_lock_of_an_earlier_boot_keeps_no_user_out(system: System) -> None:
    """Its number is ours now."""
    lock = Path("/etc/passwd.lock")
    lock.write_text(str(os.getpid()), encoding="ascii")
    os.utime(lock, (1, 1))
    assert run("useradd", "rebooted").returncode != 0
    assert users.ensure_user(system, "rebooted")


def test_lock_of_a_program_that_lives_is_respected_until_it_ends(system: System) -> None:
    lock = Path("/etc/passwd.lock")
    script = f"printf $$ > {lock}; echo; read line; rm {lock}"
    pipe = subprocess.PIPE
    with subprocess.Popen(["sh", "-c", script], stdin=pipe, stdout=pipe) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()
        assert run("useradd", "patient").returncode != 0
        other.stdin.close()  # it ends while we try, or just before
        assert users.ensure_user(system, "patient")


def test_home_that_a_disk_did_not_take_is_made_when_it_does(system: System) -> None:
    output("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", "/home")
    with pytest.raises(GuestError, match="cannot create directory"):
        users.ensure_user(system, "homeless")
    output("umount", "/home")
    assert not users.ensure_user(system, "homeless")
    assert Path("/home/homeless").stat().st_uid == accounts.read_account(system, "homeless").uid


def test_full_disk_is_no_lock_to_wait_for(system: System) -> None:
    """It takes a second, not the fifteen that another program would be given."""
    output("sh", "-c", "mkdir /run/etc && mount -t tmpfs -o size=64m tmpfs /run/etc")
    output("sh", "-c", "cp -a /etc/. /run/etc && mount --bind /run/etc /etc")
    run("dd", "if=/dev/zero", "of=/etc/filler", "bs=4k")
    clock = ManualClock()
    try:
        with pytest.raises(GuestError, match="No space left on device"):
            users.ensure_user(replace(system, clock=clock), "crowded")
    finally:
        output("umount", "/etc")
    assert clock.waits == []
    assert accounts.find_account(system, "crowded") is None


def test_home_of_a_deleted_user_becomes_the_new_ones(system: System) -> None:
    home = Path("/home/again")
    home.mkdir()
    os.chown(home, 54321, 54321)
    assert users.ensure_user(system, "again")
    assert home.stat().st_uid == accounts.read_account(system, "again").uid


def test_home_of_another_user_stays_theirs(system: System, user: str) -> None:
    home = Path("/home/taken")
    home.mkdir()
    owner = accounts.read_account(system, user).uid
    os.chown(home, owner, owner)
    assert users.ensure_user(system, "taken")
    assert home.stat().st_uid == owner


def test_account_without_a_password_is_open_to_keys_only(system: System) -> None:
    users.ensure_user(system, "keysonly")
    assert shadow("keysonly")[1] == "!"
    assert users.allow_keys_only(system, "keysonly")
    assert shadow("keysonly")[1] == "*"
    assert not users.allow_keys_only(system, "keysonly")


def test_account_that_was_locked_has_its_new_password(system: System) -> None:
    users.ensure_user(system, "locked")
    output("chpasswd", stdin=f"locked:{PASSWORD}old")
    output("usermod", "-L", "locked")
    assert not users.allow_keys_only(system, "locked"), "nobody lifts a lock by the way"
    users.set_password(
        system, "locked", PASSWORD, crypt_id="6", salt_length=10, allow_system_user=False
    )
    assert output("passwd", "-S", "locked").split()[1] == "P"


def test_root_password_is_locked_beside_programs_that_change_accounts(system: System) -> None:
    """Neither loses what the other wrote."""
    script = "for i in 1 2 3 4 5 6 7 8; do printf 'locked:*%s\\n' $i | chpasswd -e || exit 1; done"
    output("chpasswd", "-e", stdin="root:open")
    with subprocess.Popen(["sh", "-c", script]) as other:
        while other.poll() is None:
            users.lock_root_password(system, shadow_path="/etc/shadow")
        assert other.returncode == 0
    assert (shadow("locked")[1], shadow("root")[1]) == ("*8", "*LOCK*")
