"""The table of distributions, and its golden file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.machine import DATA, Machine
from tests.unit.guest.profiles_golden import render_all
from waagent.guest.profiles import GENERIC, RULES, network_unit_dir, profile_of
from waagent.guest.release import Release


def test_profiles_of_all_known_distributions_are_the_reviewed_ones() -> None:
    assert render_all() == (DATA / "profiles.txt").read_text(encoding="utf-8")


def test_profile_of_an_unknown_distribution_is_the_generic_one() -> None:
    assert profile_of(Release("some", "1")) is GENERIC


def test_profile_table_has_no_row_that_can_never_be_reached() -> None:
    always: set[str] = set()
    for rule in RULES:
        assert not set(rule.names) <= always, rule
        if not rule.since:
            always |= set(rule.names)


@pytest.mark.parametrize(
    ("files", "expected"),
    [({}, "/usr/lib/systemd/system"), ({"/run/ostree-booted": ""}, "/etc/systemd/system")],
)
def test_network_unit_goes_to_etc_on_an_image_based_system(
    tmp_path: Path, files: dict[str, str], expected: str
) -> None:
    guest = Machine("rhel-9.4", files=files).boot(tmp_path)
    assert network_unit_dir(guest.system, guest.profile) == expected
