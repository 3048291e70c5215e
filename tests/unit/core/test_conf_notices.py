"""What is announced about a configuration that is not the default (spec CLI 2.6)."""

from __future__ import annotations

from typing import Optional

import pytest

from waagent.core.conf import Conf, load
from waagent.core.conf_notices import find_key_conflict, notices_of

QUIET = ("OS.EnableFirewall=y",)


def conf_of(*lines: str) -> Conf:
    return load("\n".join(lines).encode(), "waagent.conf").conf


def test_nothing_is_announced_about_the_defaults_with_the_firewall_on() -> None:
    assert notices_of(conf_of(*QUIET)) == ()


@pytest.mark.parametrize(
    ("line", "notice"),
    [
        (
            "Extensions.InitialGoalStatePeriod=3",
            "Extensions.InitialGoalStatePeriod changed from its default: 6. New value: 3. ",
        ),
        (
            "OS.EnableFirewallPeriod=30",
            "OS.EnableFirewallPeriod changed from its default: 300. New value: 30. ",
        ),
        (
            "Autoupdate.Frequency=60",
            "Autoupdate.Frequency changed from its default: 3600. New value: 60. ",
        ),
        (
            "OS.EnableFirewall=n",
            "OS.EnableFirewall is set to False, not processing the operation",
        ),
        (
            "Extensions.Enabled=n",
            "Extensions.Enabled is set to False, not processing the operation",
        ),
        ("Lib.Dir=/srv/agent", "lib dir is in an unexpected location: /srv/agent"),
        (
            "Debug.EnableGAVersioning=n",
            "Debug.EnableGAVersioning is off: the platform cannot choose the agent's version",
        ),
    ],
)
def test_difference_from_the_defaults_is_announced(line: str, notice: str) -> None:
    assert notices_of(conf_of(*QUIET, line)) == (notice,)


def test_legacy_update_key_that_is_off_is_announced_for_both_keys_as_recorded() -> None:
    assert notices_of(conf_of(*QUIET, "AutoUpdate.Enabled=n")) == (
        "AutoUpdate.Enabled is set to False, not processing the operation",
        "AutoUpdate.UpdateToLatestVersion is set to False, not processing the operation",
    )


def test_goal_state_period_is_announced_with_the_one_that_follows_it() -> None:
    keys = [text.split()[0] for text in notices_of(conf_of(*QUIET, "Extensions.GoalStatePeriod=3"))]
    assert keys == ["Extensions.GoalStatePeriod", "Extensions.InitialGoalStatePeriod"]


@pytest.mark.parametrize(
    "lines",
    [
        ("OS.EnableFirewall=n", "OS.EnableFirewallPeriod=30"),
        ("AutoUpdate.Enabled=n", "Autoupdate.Frequency=60"),
    ],
)
def test_period_of_what_is_off_is_not_announced(lines: tuple[str, str]) -> None:
    assert not any("changed from" in text for text in notices_of(conf_of(*lines)))


@pytest.mark.parametrize(
    ("lines", "conflict"),
    [
        (("AutoUpdate.Enabled=n",), False),
        (("AutoUpdate.UpdateToLatestVersion=n",), False),
        (("AutoUpdate.Enabled=n", "AutoUpdate.UpdateToLatestVersion=n"), False),
        (("AutoUpdate.Enabled=n", "AutoUpdate.UpdateToLatestVersion=y"), True),
    ],
)
def test_update_keys_conflict_only_when_both_are_present_and_differ(
    lines: tuple[str, ...], conflict: bool
) -> None:
    found: Optional[str] = find_key_conflict(conf_of(*lines))
    assert (found is not None) is conflict
    assert not conflict or "AutoUpdate.Enabled is ignored" in str(found)
