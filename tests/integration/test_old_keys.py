"""Keys that no goal state lists go after a day, unless installed settings name them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fabric import ECHO
from tests.support.agent import RootedAgent
from waagent.exthandlers.old_keys import KEPT_S


def key_files(agent: RootedAgent) -> list[Path]:
    """Keys and certificates in the lib dir."""
    return sorted(path for kind in ("crt", "prv") for path in agent.lib("").glob(f"*.{kind}"))


def rotate(agent: RootedAgent, *, then_s: float) -> list[Path]:
    """Other certificates, and one more goal state so long after; the files of the ones before."""
    old = key_files(agent)
    agent.fabric.platform.rotate_certificates()
    agent.new_status()
    agent.let_pass(then_s)
    agent.fabric.portal.update_settings(ECHO, {"echo": "later"})
    agent.new_status()
    return old


def present(paths: list[Path]) -> list[Path]:
    """Those that are still there."""
    return [path for path in paths if path.exists()]


def test_key_that_nobody_names_goes_a_day_after_it_was_listed_no_more(agent: RootedAgent) -> None:
    old = rotate(agent, then_s=KEPT_S)
    assert old
    assert present(old) == []
    assert key_files(agent), "the new ones are there"


def test_key_stays_for_a_day_however_long_it_was_listed(agent: RootedAgent) -> None:
    agent.let_pass(10 * KEPT_S)
    for path in key_files(agent):
        os.utime(path, (0, 0))
    old = rotate(agent, then_s=KEPT_S - 60)
    assert present(old) == old


def test_key_that_is_listed_again_has_another_day(agent: RootedAgent) -> None:
    certificates = agent.fabric.world.sealer.certificates
    old = rotate(agent, then_s=KEPT_S / 2)
    agent.fabric.platform.rotate_certificates(certificates)
    agent.new_status()
    agent.let_pass(KEPT_S)
    rotate(agent, then_s=KEPT_S / 2)
    assert present(old) == old


@pytest.mark.parametrize("name", ["7.settings", "other.3.settings", "state"])
def test_key_that_installed_settings_name_stays(agent: RootedAgent, name: str) -> None:
    (thumbprint,) = {path.stem for path in key_files(agent) if path.suffix == ".prv"}
    config = agent.lib(f"{ECHO}-1.0.0") / "config"
    (config / name).write_text(f'{{"thumbprint": "{thumbprint.lower()}"}}', encoding="utf-8")
    old = rotate(agent, then_s=KEPT_S)
    assert {path.stem for path in present(old)} == {thumbprint}


def test_keys_stay_where_settings_cannot_be_read(agent: RootedAgent) -> None:
    huge = agent.lib(f"{ECHO}-1.0.0") / "config" / "7.settings"
    huge.touch()
    os.truncate(huge, 1 << 30)
    old = rotate(agent, then_s=KEPT_S)
    assert present(old) == old


def test_keys_stay_where_a_goal_state_has_no_certificates(agent: RootedAgent) -> None:
    old = key_files(agent)
    agent.fabric.platform.change(has_certificates=False)
    agent.fabric.portal.drop_extensions(ECHO)
    agent.turn(2)
    agent.let_pass(KEPT_S)
    agent.fabric.platform.change(has_certificates=False)
    agent.turn(2)
    assert present(old) == old
