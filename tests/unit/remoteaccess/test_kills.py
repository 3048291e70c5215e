"""The agent is killed at each step of what it does to an account; the next start finishes it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

import pytest

from tests.support.accounts import Killed, KillingRunner
from tests.unit.remoteaccess.lent import Lent, grant
from waagent.protocol.documents.remoteaccess import RemoteAccess

MOST_STEPS = 20
SIDES = pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])


def killed_at(lent: Lent, access: Optional[RemoteAccess], step: int, *, is_after: bool) -> bool:
    """Have the agent work until it is killed; whether it came that far."""
    runner = KillingRunner(lent.guest.runner, step, is_after=is_after)
    try:
        lent.start(runner=runner).apply(access)
    except Killed:
        return True
    return False


def folders(tmp_path: Path) -> list[Path]:
    """One for each step that there may be."""
    return [tmp_path / str(step) for step in range(MOST_STEPS)]


@SIDES
def test_user_is_whole_after_the_next_start(tmp_path: Path, *, is_after: bool) -> None:
    steps = 0
    for step, folder in enumerate(folders(tmp_path)):
        lent = Lent(folder)
        if not killed_at(lent, grant("jit", "other"), step, is_after=is_after):
            break
        steps += 1
        lent.start().apply(grant("jit", "other"))
        shadow = lent.accounts.read("shadow")
        assert [shadow[name][1][:3] for name in ("jit", "other")] == ["$6$", "$6$"], step
        assert [shadow[name][7] for name in ("jit", "other")] == ["20485", "20485"], step
        assert sorted(lent.sudoers)[1:] == ["jit ALL=(ALL) ALL", "other ALL=(ALL) ALL"], step
    assert 4 < steps < MOST_STEPS


@pytest.mark.root
def test_account_whose_home_was_not_finished_is_made_anew(lent: Lent) -> None:
    useradd = ("useradd", "-m", "jit", "-e", "2026-02-01", "-c", "JIT_Account")
    lent.accounts.useradd(useradd, b"")
    home = lent.guest.path("/home/jit")
    os.chown(home, 0, 0)
    lent.users.apply(grant("jit"))
    assert home.stat().st_uid == int(lent.accounts.read("passwd")["jit"][2])
    assert lent.changes == ["userdel", "useradd", "chpasswd"]


@SIDES
def test_nothing_is_left_of_a_user_after_the_next_start(tmp_path: Path, *, is_after: bool) -> None:
    steps = 0
    for step, folder in enumerate(folders(tmp_path)):
        lent = Lent(folder)
        lent.users.apply(grant("jit", "other"))
        if not killed_at(lent, None, step, is_after=is_after):
            break
        steps += 1
        lent.start().apply(None)
        assert lent.ours == [], step
        assert lent.sudoers == ["azureuser ALL=(ALL) ALL"], step
        assert lent.guest.names("/home") == ["azureuser"], step
    assert 3 < steps < MOST_STEPS


@SIDES
def test_user_who_is_taken_away_meanwhile_leaves_nothing(tmp_path: Path, *, is_after: bool) -> None:
    for step, folder in enumerate(folders(tmp_path)):
        lent = Lent(folder)
        if not killed_at(lent, grant("jit"), step, is_after=is_after):
            break
        lent.start().apply(None)
        assert lent.ours == [], step
        assert lent.sudoers == ["azureuser ALL=(ALL) ALL"], step
