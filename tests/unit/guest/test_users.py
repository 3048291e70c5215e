"""Creating accounts, setting passwords, locking root's, deleting accounts."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Callable, Optional

import pytest

from tests.support.machine import Guest, Machine, User
from tests.support.runner import Answer, Answers, Argv, fails, missing, ok, times_out
from waagent.core.errors import GuestError
from waagent.guest.sha_crypt import sha256_crypt, sha512_crypt
from waagent.guest.users import (
    allow_keys_only,
    delete_user,
    ensure_user,
    lock_root_password,
    make_salt,
    set_password,
)

AZU = User("azu", uid=1000)
LOGIN_DEFS = {"/etc/login.defs": "UID_MIN 1000\n"}
SHADOW = "daemon:*:19000:0:99999:7:::\nroot:$6$old:19000::::::\nroots:x:1::::::\n"


def give_password(guest: Guest, name: str = "azu", crypt_id: str = "6", **options: bool) -> None:
    set_password(
        guest.system,
        name,
        "pä:ss w0rd",
        crypt_id=crypt_id,
        salt_length=10,
        allow_system_user=options.get("allow_system_user", False),
    )


def test_user_is_created_with_a_home(tmp_path: Path) -> None:
    guest = Machine(commands={("useradd",): ok()}).boot(tmp_path)
    assert ensure_user(guest.system, "azu")
    assert guest.ran == [("useradd", "-m", "azu")]


def test_user_of_remote_access_has_an_end_and_a_comment(tmp_path: Path) -> None:
    guest = Machine(commands={("useradd",): ok()}).boot(tmp_path)
    ensure_user(guest.system, "azu", expires="2026-02-01", comment="JIT_Account")
    assert guest.ran == [("useradd", "-m", "azu", "-e", "2026-02-01", "-c", "JIT_Account")]


def test_user_that_exists_is_kept(tmp_path: Path) -> None:
    guest = Machine(users=[AZU], folders=["/home/azu"]).boot(tmp_path)
    assert not ensure_user(guest.system, "azu")
    assert guest.ran == []


def test_home_that_a_killed_useradd_did_not_make_is_made(tmp_path: Path) -> None:
    """As with a disk that was full at that moment: the account is there, its home is not."""
    user = User("azu")
    guest = Machine(users=[user]).boot(tmp_path)
    assert not ensure_user(guest.system, "azu")
    assert guest.owner("/home/azu") == (user.uid, user.gid)
    assert guest.mode("/home/azu") == 0o750


@pytest.mark.parametrize(
    "user", [User("svc", uid=99, home="/srv/svc"), User("azu", home="/nonexistent")]
)
def test_account_that_is_to_have_no_home_gets_none(tmp_path: Path, user: User) -> None:
    guest = Machine(users=[user]).boot(tmp_path)
    ensure_user(guest.system, user.name)
    assert not guest.path(user.home).exists()


def test_home_that_cannot_be_made_is_told_and_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    user = User("azu", home="/file/azu")
    guest = Machine(users=[user], files={"/file": ""}).boot(tmp_path)
    assert not ensure_user(guest.system, "azu")
    assert "Cannot make the home /file/azu" in caplog.text


def test_user_that_cannot_be_created_is_an_error_with_the_programs_words(tmp_path: Path) -> None:
    answer = fails(3, "useradd: invalid user name 'A~B'")
    guest = Machine(commands={("useradd",): answer}).boot(tmp_path)
    with pytest.raises(GuestError, match=r"cannot create the user account A~B.*3.*invalid user"):
        ensure_user(guest.system, "A~B")


@pytest.mark.parametrize(
    "name", ["", "-G", "--root=/x", ".", "..", "a/b", "../etc", "a b", "a\nb", "a:b"]
)
def test_user_name_cannot_be_an_option_or_a_path(tmp_path: Path, name: str) -> None:
    guest = Machine().boot(tmp_path)
    with pytest.raises(GuestError, match="as a user name"):
        ensure_user(guest.system, name)


def test_user_whose_group_exists_gets_it_as_the_own_one(tmp_path: Path) -> None:
    files = {"/etc/group": "administrator:x:4:\nadmin:x:5:\n"}
    guest = Machine(files=files, commands={("useradd",): ok()}).boot(tmp_path)
    ensure_user(guest.system, "admin")
    assert guest.ran == [("useradd", "-m", "admin", "-g", "admin")]


def test_user_whose_group_only_the_name_service_knows_gets_it_too(tmp_path: Path) -> None:
    commands: dict[Argv, Answers] = {
        ("getent", "passwd"): fails(2),
        ("getent", "group", "admin"): ok("admin:*:70000:\n"),
        ("useradd",): ok(),
    }
    guest = Machine(commands=commands).boot(tmp_path)
    ensure_user(guest.system, "admin")
    assert guest.ran[-2:] == [
        ("useradd", "-m", "admin", "-g", "admin"),
        ("getent", "passwd", "admin"),
    ]


def test_name_service_that_does_not_answer_keeps_nobody_out(tmp_path: Path) -> None:
    commands: dict[Argv, Answers] = {("getent",): times_out(), ("useradd",): ok()}
    guest = Machine(commands=commands).boot(tmp_path)
    assert ensure_user(guest.system, "azu")


@pytest.mark.parametrize(
    ("field", "opened"),
    [("!", True), ("!!", True), ("*", False), ("!$6$hash", False), ("$6$hash", False), ("", False)],
)
def test_account_without_a_password_is_no_locked_one(
    tmp_path: Path, field: str, opened: bool
) -> None:
    files = {**LOGIN_DEFS, "/etc/shadow": f"azu:{field}:1::::::\n"}
    guest = Machine(users=[AZU], files=files, commands={("chpasswd",): ok()}).boot(tmp_path)
    assert allow_keys_only(guest.system, "azu") is opened
    assert guest.ran == ([("chpasswd", "-e")] if opened else [])
    assert not opened or guest.stdin() == b"azu:*\n"


@pytest.mark.parametrize("answer", [missing(), fails(1), times_out()], ids=repr)
def test_account_that_stays_locked_is_told_and_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: Answer
) -> None:
    files = {**LOGIN_DEFS, "/etc/shadow": "azu:!:1::::::\n"}
    guest = Machine(users=[AZU], files=files, commands={("chpasswd",): answer}).boot(tmp_path)
    assert not allow_keys_only(guest.system, "azu")
    assert "azu stays locked" in caplog.text


def test_system_account_stays_locked(tmp_path: Path) -> None:
    files = {**LOGIN_DEFS, "/etc/shadow": "svc:!:1::::::\n"}
    guest = Machine(users=[User("svc", uid=999)], files=files).boot(tmp_path)
    assert not allow_keys_only(guest.system, "svc")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("azu:x:1:::::1:", "has expired; chage"),
        ("azu:x:1:::::99999:", None),
        ("azu:x:1::::::", None),
        ("azu", None),
    ],
)
def test_account_that_has_expired_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, line: str, told: Optional[str]
) -> None:
    files = {"/etc/shadow": f"{line}\n"}
    guest = Machine(users=[AZU], files=files, folders=["/home/azu"]).boot(tmp_path)
    ensure_user(guest.system, "azu")
    assert (told in caplog.text) if told else caplog.text == ""


@pytest.mark.parametrize(("crypt_id", "hashed"), [("6", sha512_crypt), ("5", sha256_crypt)])
def test_password_is_hashed_and_never_on_a_command_line(
    tmp_path: Path, crypt_id: str, hashed: Callable[[bytes, str], str]
) -> None:
    guest = Machine(users=[AZU], files=LOGIN_DEFS, commands={("chpasswd",): ok()}).boot(tmp_path)
    give_password(guest, crypt_id=crypt_id)
    assert guest.ran == [("chpasswd", "-e")]
    match = re.fullmatch(rb"azu:(\$[56]\$([A-Za-z0-9]{10})\$.+)\n", guest.stdin())
    assert match is not None
    assert match[1].decode() == hashed("pä:ss w0rd".encode(), match[2].decode())


def test_password_is_hashed_by_the_guest_when_its_method_is_not_ours(tmp_path: Path) -> None:
    guest = Machine(users=[AZU], files=LOGIN_DEFS, commands={("chpasswd",): ok()}).boot(tmp_path)
    give_password(guest, crypt_id="y")
    assert guest.ran == [("chpasswd",)]
    assert guest.stdin() == "azu:pä:ss w0rd\n".encode()


def test_password_with_a_line_break_cannot_become_a_second_line(tmp_path: Path) -> None:
    guest = Machine(users=[AZU], files=LOGIN_DEFS).boot(tmp_path)
    with pytest.raises(GuestError, match="line break"):
        set_password(
            guest.system,
            "azu",
            "x\nroot:y",
            crypt_id="1",
            salt_length=10,
            allow_system_user=False,
        )


def test_password_of_a_system_user_is_left_alone(tmp_path: Path) -> None:
    guest = Machine(users=[User("svc", uid=999)], files=LOGIN_DEFS).boot(tmp_path)
    with pytest.raises(GuestError, match=r"svc: it is a system user.*AllowResetSysUser=y"):
        give_password(guest, "svc")
    assert guest.ran == []


def test_password_of_a_system_user_is_set_when_that_is_allowed(tmp_path: Path) -> None:
    machine = Machine(
        users=[User("svc", uid=999)], files=LOGIN_DEFS, commands={("chpasswd",): ok()}
    )
    guest = machine.boot(tmp_path)
    give_password(guest, "svc", allow_system_user=True)
    assert guest.stdin().startswith(b"svc:$6$")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (fails(1, "line 1: azu:$6$secret"), "chpasswd ended with 1"),
        (times_out("line 1: azu:$6$secret"), "chpasswd did not end within 300 s"),
    ],
)
def test_password_failure_does_not_tell_what_the_program_was_given(
    tmp_path: Path, answer: Answer, told: str
) -> None:
    commands: dict[Argv, Answers] = {("chpasswd",): answer}
    guest = Machine(users=[AZU], files=LOGIN_DEFS, commands=commands).boot(tmp_path)
    with pytest.raises(GuestError) as error:
        give_password(guest)
    assert "secret" not in str(error.value)
    assert str(error.value).endswith(told)


@pytest.mark.parametrize(("asked", "expected"), [(10, 10), (1, 1), (16, 16), (1024, 16)])
def test_salt_has_the_length_that_the_methods_use(asked: int, expected: int) -> None:
    assert len(make_salt(asked)) == expected
    assert asked == 1 or make_salt(asked) != make_salt(asked)


def test_root_password_is_locked_in_place_of_all_other_lines_of_root(tmp_path: Path) -> None:
    guest = Machine(files={"/etc/shadow": SHADOW}, modes={"/etc/shadow": 0o640}).boot(tmp_path)
    owner = guest.owner("/etc/shadow")
    assert lock_root_password(guest.system, shadow_path="/etc/shadow")
    assert guest.file("/etc/shadow") == (
        "root:*LOCK*:14600::::::\ndaemon:*:19000:0:99999:7:::\nroots:x:1::::::\n"
    )
    assert guest.mode("/etc/shadow") == 0o640
    assert guest.owner("/etc/shadow") == owner


def test_root_password_that_is_locked_already_is_not_written_again(tmp_path: Path) -> None:
    guest = Machine(files={"/etc/shadow": SHADOW}).boot(tmp_path)
    lock_root_password(guest.system, shadow_path="/etc/shadow")
    before = guest.path("/etc/shadow").stat().st_ino
    assert not lock_root_password(guest.system, shadow_path="/etc/shadow")
    assert guest.path("/etc/shadow").stat().st_ino == before


def test_root_password_cannot_be_locked_without_the_file(tmp_path: Path) -> None:
    guest = Machine().boot(tmp_path)
    with pytest.raises(GuestError, match=r"cannot lock the root password.*OS\.PasswordPath"):
        lock_root_password(guest.system, shadow_path="/etc/shadow")


def test_root_password_waits_for_another_program_that_changes_accounts(tmp_path: Path) -> None:
    guest = Machine(files={"/etc/shadow": SHADOW, "/etc/.pwd.lock": ""}).boot(tmp_path)
    with holding(guest.path("/etc/.pwd.lock")) as let_go:
        guest.clock.at(3.0, let_go)
        assert lock_root_password(guest.system, shadow_path="/etc/shadow")
    assert guest.clock.waits == [1.0, 1.0, 1.0]


def test_root_password_lock_is_given_up_after_a_while(tmp_path: Path) -> None:
    guest = Machine(files={"/etc/shadow": SHADOW, "/etc/.pwd.lock": ""}).boot(tmp_path)
    complaint = r"cannot change the account files: /etc/\.pwd\.lock"
    with holding(guest.path("/etc/.pwd.lock")), pytest.raises(GuestError, match=complaint):
        lock_root_password(guest.system, shadow_path="/etc/shadow")
    assert guest.file("/etc/shadow") == SHADOW
    assert sum(guest.clock.waits) == 15.0


@contextlib.contextmanager
def holding(path: Path) -> Iterator[Callable[[], None]]:
    """A process that holds the lock until it is let go."""
    code = (
        "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX);"
        "print('locked', flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        stdin, stdout = holder.stdin, holder.stdout
        assert stdin is not None
        assert stdout is not None
        assert stdout.readline() == b"locked\n"

        def let_go() -> None:
            stdin.close()
            holder.wait()

        yield let_go
        let_go()


def test_user_is_deleted_with_the_home(tmp_path: Path) -> None:
    machine = Machine(
        users=[AZU], files={**LOGIN_DEFS, "/var/run/x": ""}, commands={("userdel",): ok()}
    )
    guest = machine.boot(tmp_path)
    delete_user(guest.system, "azu")
    assert guest.ran == [("userdel", "-f", "-r", "azu")]
    assert guest.path("/var/run/utmp").exists()


def test_system_user_is_not_deleted(tmp_path: Path) -> None:
    guest = Machine(users=[User("svc", uid=999)], files=LOGIN_DEFS).boot(tmp_path)
    assert not delete_user(guest.system, "svc")
    assert guest.ran == []


def test_user_that_is_gone_already_needs_no_deleting(tmp_path: Path) -> None:
    guest = Machine().boot(tmp_path)
    assert delete_user(guest.system, "azu")
    assert guest.ran == []
