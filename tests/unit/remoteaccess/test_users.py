"""Just-in-time users come, stay and go; nobody else's account is ever touched."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone

import pytest

from tests.unit.remoteaccess.lent import BAD, DAYS, HOURS, Lent, grant
from waagent.core.errors import CryptoError
from waagent.protocol.documents.remoteaccess import RemoteAccess, RemoteUser
from waagent.remoteaccess.users import FIRST_PAUSE_S, LONGEST_PAUSE_S

ADDED = ["useradd", "chpasswd"]


def test_user_is_added_with_its_end_its_password_and_sudo(lent: Lent) -> None:
    lent.users.apply(grant("jit"))
    useradd = next(argv for argv in lent.guest.ran if argv[0] == "useradd")
    assert useradd == ("useradd", "-m", "jit", "-e", "2026-02-01", "-c", "JIT_Account")
    assert lent.accounts.read("shadow")["jit"][1].startswith("$6$")
    assert lent.sudoers == ["azureuser ALL=(ALL) ALL", "jit ALL=(ALL) ALL"]
    assert lent.guest.mode("/etc/sudoers.d/waagent") == 0o440
    assert lent.changes == ADDED
    assert [is_good for is_good, _ in lent.said] == [True]


def test_password_comes_last_and_never_shows(lent: Lent, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        lent.users.apply(grant("jit"))
    assert lent.guest.ran[-1][0] == "chpasswd"
    assert all("jit1" not in word for argv in lent.guest.ran for word in argv)
    assert "jit1" not in caplog.text
    secret = lent.accounts.read("shadow")["jit"][1]
    assert secret not in caplog.text
    assert all("jit1" not in message and secret not in message for _, message in lent.said)


def test_user_goes_with_its_sudo_when_its_time_is_over_and_no_document_says_so(lent: Lent) -> None:
    access = grant("jit")
    lent.users.apply(access)
    lent.guest.clock.set_wall_time(datetime(2026, 1, 31, 18, 0, 0, tzinfo=timezone.utc))
    lent.users.apply(access)
    assert lent.ours == ["jit"]
    lent.guest.clock.advance(1)
    lent.users.apply(access)
    assert lent.ours == []
    assert lent.sudoers == ["azureuser ALL=(ALL) ALL"]
    assert lent.deletions == [("userdel", "-f", "-r", "jit")]
    assert not lent.guest.path("/home/jit").exists()


def test_clock_that_is_set_back_brings_the_user_back(lent: Lent) -> None:
    access = grant("jit")
    lent.guest.clock.set_wall_time(datetime(2030, 1, 1, tzinfo=timezone.utc))
    lent.users.apply(access)
    assert lent.changes == []
    lent.guest.clock.set_wall_time(datetime(2026, 1, 31, 10, 0, 0, tzinfo=timezone.utc))
    lent.users.apply(access)
    assert lent.ours == ["jit"]


def test_user_who_is_there_stays_as_he_is(lent: Lent) -> None:
    lent.users.apply(grant("jit"))
    before = lent.accounts.read("shadow")
    lent.users.apply(grant("jit", incarnation="2"))
    lent.start().apply(grant("jit", incarnation="3"))
    assert lent.accounts.read("shadow") == before
    assert lent.changes == ADDED
    assert len(lent.opened) == 1, "no password is opened that is not needed"


def test_user_who_is_wanted_longer_is_let_in_longer(lent: Lent) -> None:
    lent.users.apply(grant("jit"))
    password = lent.accounts.read("shadow")["jit"][1]
    lent.users.apply(grant("jit", until=DAYS, incarnation="2"))
    assert lent.guest.ran[-1] == ("usermod", "-e", "2026-02-04", "jit")
    assert lent.accounts.read("shadow")["jit"][1] == password


def test_user_who_is_no_longer_listed_goes_and_the_other_stays(lent: Lent) -> None:
    lent.users.apply(grant("one", "two"))
    lent.users.apply(grant("two", incarnation="2"))
    assert lent.ours == ["two"]
    lent.users.apply(None)
    assert lent.ours == []


def test_nothing_is_run_again_for_the_same_list(lent: Lent) -> None:
    access = grant("jit")
    lent.users.apply(access)
    before = len(lent.guest.ran)
    for _ in range(100):
        lent.guest.clock.advance(6)
        lent.users.apply(access)
    assert len(lent.guest.ran) == before


def test_machine_without_a_list_is_looked_at_once(lent: Lent) -> None:
    lent.write_passwd("old:x:1005:1005:JIT_Account:/home/old:/bin/sh")
    lent.guest.write("/etc/shadow", lent.guest.file("/etc/shadow") + "old:$6$:1::::::\n")
    lent.users.apply(None)
    assert lent.ours == []
    lent.write_passwd("odd:x:1006:1006:JIT_Account:/home/odd:/bin/sh")
    lent.guest.clock.advance(7200)
    lent.users.apply(None)
    assert lent.ours == ["odd"], "nobody looks until a list appears"
    lent.users.apply(grant("jit"))
    assert lent.ours == ["jit"]


def test_distribution_without_such_users_is_left_alone(lent: Lent) -> None:
    lent.start(is_supported=False).apply(grant("jit"))
    assert lent.guest.ran == []
    assert lent.opened == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("azureuser", "there is an account of that name that is not ours"),
        ("root", "there is an account of that name that is not ours"),
        ("docker", "there is a group of that name"),
    ],
)
def test_what_is_somebody_elses_is_never_touched(lent: Lent, name: str, why: str) -> None:
    before = {each: lent.guest.file(f"/etc/{each}") for each in ("passwd", "shadow", "group")}
    lent.users.apply(grant(name))
    lent.users.apply(None)
    assert lent.changes == []
    assert {each: lent.guest.file(f"/etc/{each}") for each in before} == before
    assert lent.sudoers == ["azureuser ALL=(ALL) ALL"]
    assert len(lent.failures) == 1
    assert why in lent.failures[0]


def test_home_that_holds_something_is_nobodys_to_lend(lent: Lent) -> None:
    lent.guest.write("/home/jit/thesis", "years of work")
    lent.users.apply(grant("jit"))
    assert lent.changes == []
    assert "move it elsewhere" in lent.failures[0]
    lent.guest.path("/home/jit/thesis").unlink()
    lent.guest.clock.advance(FIRST_PAUSE_S)
    lent.users.apply(grant("jit"))
    assert lent.ours == ["jit"]


@pytest.mark.parametrize(
    ("home", "why"),
    [
        ("/home/azureuser", "no folder of its own"),
        ("/", "no folder of its own"),
        ("/srv/jit", "it is the home of other too"),
    ],
)
def test_home_that_is_not_the_users_alone_stays(
    lent: Lent, home: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    lent.write_passwd(f"jit:x:1005:1005:JIT_Account:{home}:/bin/sh")
    lent.write_passwd("other:x:1006:1006::/srv/jit/sub:/bin/sh")
    lent.guest.write("/etc/shadow", lent.guest.file("/etc/shadow") + "jit:$6$:1::::::\n")
    lent.guest.write("/srv/jit/sub/file", "kept")
    lent.users.apply(None)
    assert lent.ours == []
    assert lent.deletions == [("userdel", "-f", "jit")]
    assert lent.guest.file("/srv/jit/sub/file") == "kept"
    assert why in caplog.text


@pytest.mark.parametrize("uid", [0, 5])
def test_system_user_with_our_comment_is_not_deleted(lent: Lent, uid: int) -> None:
    lent.write_passwd(f"sys:x:{uid}:5:JIT_Account:/var/sys:/bin/sh")
    lent.guest.write("/etc/sudoers.d/waagent", "azureuser ALL=(ALL) ALL\nsys ALL=(ALL) ALL\n")
    lent.users.apply(None)
    assert lent.ours == ["sys"]
    assert lent.changes == []
    assert "it is a system user" in lent.failures[0]
    assert "sys ALL=(ALL) ALL" in lent.sudoers


def test_name_that_is_part_of_another_takes_no_line_but_its_own(lent: Lent) -> None:
    lent.users.apply(grant("jit", "jit2", "azure"))
    lent.users.apply(grant("jit2", incarnation="2"))
    assert lent.sudoers == ["azureuser ALL=(ALL) ALL", "jit2 ALL=(ALL) ALL"]


def test_one_users_failure_is_that_users_alone(lent: Lent) -> None:
    lent.users.apply(grant("refused", "bad", "docker", "good"))
    assert lent.ours == ["good"]
    assert [BAD in text or "invalid user name" in text for text in lent.failures[:2]] == [True] * 2
    assert len(lent.failures) == 3
    assert lent.sudoers == ["azureuser ALL=(ALL) ALL", "good ALL=(ALL) ALL"]


def test_password_that_is_missing_or_empty_makes_no_account(lent: Lent) -> None:
    none = RemoteUser("none", None, HOURS)
    lent.users.apply(RemoteAccess((none,)))
    assert lent.changes == []
    assert "there is none" in lent.failures[0]


def test_opener_that_fails_is_told_and_asked_again_later_and_later(lent: Lent) -> None:
    lent.opening_fails = CryptoError("cannot open the passwords: that took over 120 s")
    access = grant("one", "two")
    for _ in range(int(86400 / 6)):
        lent.guest.clock.advance(6)
        lent.users.apply(RemoteAccess(access.users, incarnation="1"))
        if lent.ours:
            break
    assert lent.changes == []
    assert 7 < len(lent.opened) < 7 + 86400 / LONGEST_PAUSE_S
    assert "that took over 120 s" in lent.failures[0]


def test_user_who_failed_is_tried_again_until_it_works(lent: Lent) -> None:
    access = grant("jit", until=DAYS)
    lent.opening_fails = CryptoError("cannot open the passwords: no memory")
    lent.users.apply(access)
    lent.opening_fails = None
    lent.guest.clock.advance(FIRST_PAUSE_S - 1)
    lent.users.apply(access)
    assert lent.ours == []
    lent.guest.clock.advance(1)
    lent.users.apply(access)
    assert lent.ours == ["jit"]


def test_accounts_that_cannot_be_read_are_no_reason_to_add_or_remove(lent: Lent) -> None:
    passwd = lent.guest.path("/etc/passwd")
    passwd.rename(passwd.with_name("away"))
    lent.users.apply(grant("jit"))
    assert lent.changes == []
    assert "Cannot tell which users are remote access users" in lent.failures[0]
    passwd.with_name("away").rename(passwd)
    lent.guest.clock.advance(FIRST_PAUSE_S)
    lent.users.apply(grant("jit"))
    assert lent.ours == ["jit"]


def test_agent_that_is_told_to_stop_begins_nothing_more(lent: Lent) -> None:
    lent.stop.set()
    lent.users.apply(grant("jit"))
    assert lent.changes == []


def test_user_is_not_added_whose_time_is_over(lent: Lent) -> None:
    lent.guest.clock.advance(timedelta(days=2).total_seconds())
    lent.users.apply(grant("jit"))
    assert lent.changes == []
    assert lent.failures == []
