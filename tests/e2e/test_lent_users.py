"""Users that the fabric lends to a real machine: they come, and go, and leave nothing behind."""

from __future__ import annotations

import re
import signal
from dataclasses import replace

import pytest

from tests.demo.guest import Guest
from tests.e2e.facts import USER, Wish, has_password, make_password, places_with
from tests.e2e.kills import CHILD, await_true
from tests.fabric import JitUser, Vm

pytestmark = pytest.mark.root

LENT = "lent"


def has_user(guest: Guest, name: str) -> bool:
    """Whether there is the account, and all of it: the password comes last."""
    return f"\n{name}:$6$" in guest.read("/etc/shadow")


def child_of(guest: Guest) -> list[int]:
    """The processes that handle goal states."""
    return [pid for pid, (_, words) in guest.processes.items() if CHILD in words]


def test_lent_user_comes_outlives_the_agent_and_goes_without_a_trace() -> None:
    wish, password = Wish(), make_password()
    users = (JitUser(LENT, password), JitUser(USER, "not for " + USER))
    machine = replace(Vm(has_certificates=False), users=users)
    with Guest(machine, wish.media()) as guest:
        guest.start_daemon()
        guest.fabric.await_ready()
        await_true(lambda: has_user(guest, LENT), "the user that is lent")
        assert has_password(guest, password, user=LENT)
        assert has_password(guest, wish.password), "the user of the machine is not the fabric's"
        assert f"{LENT} ALL=(ALL) ALL" in guest.read("/etc/sudoers.d/waagent").splitlines()
        assert re.search(rf"^{LENT}:x:\d+:\d+:JIT_Account:", guest.read("/etc/passwd"), re.M)
        assert places_with(guest, password) == []

        (child,) = child_of(guest)
        guest.kill(child, signal.SIGKILL)
        await_true(lambda: child_of(guest) not in ([], [child]), "the next child")
        guest.fabric.platform.set_users(None)
        await_true(lambda: f"{LENT}:" not in guest.read("/etc/passwd"), "the end of the user")
        await_true(lambda: not guest.exists(f"/home/{LENT}"), "the end of its home")
        assert f"{LENT} " not in guest.read("/etc/sudoers.d/waagent")
        assert has_password(guest, wish.password)
        guest.fabric.assert_clean()
