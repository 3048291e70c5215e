"""The table of distributions: its golden file, the specification's table, and what is probed."""

from __future__ import annotations

from pathlib import Path
from typing import Union

import pytest

from tests.support.machine import Machine
from tests.unit.guest.profiles_golden import GOLDEN, read_sample, render_all, sample_names
from tests.unit.guest.spec_profiles import DIFFERENT, ROWS, Row
from waagent.guest.profile import Profile
from waagent.guest.profiles import (
    DHCP_CLIENTS,
    GENERIC,
    RULES,
    environment_changes,
    network_unit_dir,
    profile_of,
    read_profile,
)
from waagent.guest.release import Release

SPECIFIED = [(row, sample) for row in ROWS for sample in row.samples]
# What the existing agent has no row for, and takes for unknown although it is like one it knows.
RELATIVES = {
    "amzn-2": "redhat",
    "amzn-2023": "fedora",
    "linuxmint-22": "ubuntu",
    "lmde-6": "debian",
    "manjaro": "arch",
    "opensuse-microos": "suse",
    "opensuse-tumbleweed": "suse",
    "sl-micro-6.1": "suse",
    "wolfi": "chainguard",
}


def test_profiles_of_all_known_distributions_are_the_reviewed_ones() -> None:
    renew = "python -m tests.unit.guest.profiles_golden --write"
    assert render_all() == GOLDEN.read_text(encoding="utf-8"), f"if that is meant, run {renew}"


@pytest.mark.parametrize(
    ("row", "sample"), SPECIFIED, ids=lambda each: getattr(each, "title", each)
)
def test_profile_of_a_sample_is_what_the_specification_says(row: Row, sample: str) -> None:
    for field, ours in _fields(profile_of(read_sample(sample))).items():
        theirs = getattr(row, field)
        difference = DIFFERENT.get((row.title, field, sample), DIFFERENT.get((row.title, field)))
        if difference is not None:
            assert theirs != difference[0], f"{field} differs no longer: drop the reason"
            theirs = difference[0]
        assert ours == theirs, field


@pytest.mark.parametrize(("sample", "family"), sorted(RELATIVES.items()))
def test_profile_of_a_relative_is_that_of_what_it_is_like(sample: str, family: str) -> None:
    assert profile_of(read_sample(sample)).family == family


def test_every_sample_is_looked_at() -> None:
    looked_at = {sample for _, sample in SPECIFIED} | set(RELATIVES) | {"broken-quoting"}
    assert looked_at == set(sample_names())


def test_profile_of_an_unknown_distribution_is_the_generic_one() -> None:
    assert profile_of(Release("some", "1", like=("else",))) is GENERIC


def test_profile_of_a_relative_does_not_depend_on_the_numbers_that_it_counts_by() -> None:
    """Mint 17 would be an Ubuntu before 18.04."""
    mint = Release("linuxmint", "17", like=("ubuntu", "debian"))
    assert profile_of(mint) is profile_of(Release("ubuntu", "26.04"))


def test_profile_table_has_no_row_that_can_never_be_reached() -> None:
    always: set[str] = set()
    for rule in RULES:
        assert not set(rule.names) <= always, rule
        if not rule.since:
            always |= set(rule.names)


def test_every_expected_dhcp_client_is_among_those_that_are_looked_for() -> None:
    assert {rule.profile.dhcp for rule in RULES} <= set(DHCP_CLIENTS)


@pytest.mark.parametrize(
    ("files", "expected"),
    [({}, "/usr/lib/systemd/system"), ({"/run/ostree-booted": ""}, "/etc/systemd/system")],
)
def test_network_unit_goes_to_etc_on_an_image_based_system(
    tmp_path: Path, files: dict[str, str], expected: str
) -> None:
    guest = Machine("rhel-9.4", files=files).boot(tmp_path)
    assert network_unit_dir(guest.system, guest.profile) == expected


@pytest.mark.parametrize(
    ("distro", "installed", "expected"),
    [
        ("debian-12", "/lib/systemd/system/ssh.service", ("walinuxagent", "ssh")),
        ("unknown-1", "/lib/systemd/system/ssh.service", ("waagent", "ssh")),
        ("unknown-1", "/usr/lib/systemd/system/walinuxagent.service", ("walinuxagent", "sshd")),
        ("debian-12", "/etc/systemd/system/waagent.service", ("waagent", "ssh")),
        ("alpine-3.20", "/etc/init.d/sshd", ("waagent", "sshd")),
        ("devuan-5", "/etc/init.d/walinuxagent", ("walinuxagent", "ssh")),
        ("rhel-9.4", "/etc/motd", ("waagent", "sshd")),
    ],
)
def test_services_are_those_that_are_installed(
    tmp_path: Path, distro: str, installed: str, expected: tuple[str, str]
) -> None:
    guest = Machine(distro, files={installed: "x"}).boot(tmp_path)
    profile = read_profile(guest.system, guest.release)
    assert (profile.agent_service, profile.ssh_service) == expected


def test_service_that_is_only_an_alias_counts_as_installed(tmp_path: Path) -> None:
    links = {"/etc/systemd/system/ssh.service": "/opt/elsewhere.service"}
    guest = Machine("unknown-1", symlinks=links).boot(tmp_path)
    assert read_profile(guest.system, guest.release).ssh_service == "ssh"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], "/usr/share/oem/waagent.conf"),
        (["/etc/waagent.conf"], "/etc/waagent.conf"),
        (["/etc/waagent.conf", "/usr/share/oem/waagent.conf"], "/usr/share/oem/waagent.conf"),
    ],
)
def test_configuration_is_the_usual_one_where_the_distributions_own_is_not_there(
    tmp_path: Path, files: list[str], expected: str
) -> None:
    guest = Machine("flatcar-4459", files=dict.fromkeys(files, "")).boot(tmp_path)
    assert read_profile(guest.system, guest.release).conf_path == expected


def test_folder_of_the_distribution_is_added_to_the_path_once() -> None:
    profile = profile_of(Release("flatcar", "4459.2.0"))
    changes = environment_changes(profile, {"PATH": "/usr/bin:/bin"})
    assert changes == {"PATH": "/usr/bin:/bin:/usr/share/oem/python/bin"}
    assert environment_changes(profile, changes) == {}
    assert environment_changes(profile, {}) == {}
    assert environment_changes(GENERIC, {"PATH": "/usr/bin"}) == {}


def _fields(profile: Profile) -> dict[str, Union[str, bool, tuple[str, ...]]]:
    """Those of the specification's table, by the names there."""
    return {
        "service": profile.agent_service,
        "unit_dir": profile.unit_dir,
        "bin_dir": profile.bin_dir,
        "conf_path": profile.conf_path,
        "dhcp": profile.dhcp.process,
        "jit": profile.jit_users,
        "edits_sshd": profile.edits_sshd_config,
        "keeps_resolv_conf": profile.keeps_resolv_conf,
        "drops_machine_id": profile.drops_machine_id,
        "ordinary": profile.ordinary_system_users,
        "more_path": profile.more_path,
    }
