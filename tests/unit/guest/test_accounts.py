"""Reading accounts from /etc/passwd and the name service."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.machine import Machine, User
from tests.support.runner import fails, ok
from waagent.core.errors import GuestError
from waagent.guest.accounts import (
    Account,
    find_account,
    is_system_account,
    parse_passwd_line,
    read_account,
)

AZU = User("azu", uid=1000, gid=1001)


def test_account_is_read_from_passwd(tmp_path: Path) -> None:
    guest = Machine(users=[AZU]).boot(tmp_path)
    expected = Account("azu", 1000, 1001, "/home/azu", "/bin/bash")
    assert find_account(guest.system, "azu") == expected
    assert expected.owner == (1000, 1001)


def test_account_that_only_the_name_service_knows_is_found(tmp_path: Path) -> None:
    line = ok("core:x:500:500:CoreOS Admin:/home/core:/bin/bash\n")
    guest = Machine(commands={("getent", "passwd", "core"): line}).boot(tmp_path)
    assert find_account(guest.system, "core") == Account(
        "core", 500, 500, "/home/core", "/bin/bash", "CoreOS Admin"
    )


def test_account_that_nobody_knows_is_none_and_an_error_when_it_is_needed(tmp_path: Path) -> None:
    guest = Machine(commands={("getent", "passwd", "nobody1"): fails(2)}).boot(tmp_path)
    assert find_account(guest.system, "nobody1") is None
    with pytest.raises(GuestError, match='cannot find the user "nobody1"'):
        read_account(guest.system, "nobody1")


@pytest.mark.parametrize(
    ("login_defs", "uid", "expected"),
    [
        ("UID_MIN\t\t 1000\n", 999, True),
        ("UID_MIN\t\t 1000\n", 1000, False),
        ("#UID_MIN 5000\nSYS_UID_MIN 9\n", 101, False),
        ("", 99, True),
        ("UID_MIN many\n", 100, False),
    ],
)
def test_system_account_is_one_below_the_first_ordinary_uid(
    tmp_path: Path, login_defs: str, uid: int, expected: bool
) -> None:
    machine = Machine(files={"/etc/login.defs": login_defs}, users=[User("svc", uid=uid)])
    assert is_system_account(machine.boot(tmp_path).system, "svc") is expected


def test_account_that_does_not_exist_is_no_system_account(tmp_path: Path) -> None:
    assert not is_system_account(Machine().boot(tmp_path).system, "azu")


def test_account_that_people_log_in_to_is_no_system_account(tmp_path: Path) -> None:
    guest = Machine("flatcar-4081", users=[User("core", uid=50)]).boot(tmp_path)
    ordinary = guest.profile.ordinary_system_users
    assert is_system_account(guest.system, "core")
    assert not is_system_account(guest.system, "core", ordinary=ordinary)


@pytest.mark.parametrize("line", ["", "#", "a:b", "+::::::", "x:x:one:1::/:/bin/sh"])
def test_line_that_is_no_account_is_skipped(line: str) -> None:
    assert parse_passwd_line(line) is None
