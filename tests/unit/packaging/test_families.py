"""The table of families: what each gets, and that it says what the agent's own table says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.source import ROOT
from tests.unit.guest.profiles_golden import read_sample
from tools.packaging.families import DEFAULT, FAMILIES, Family, Init, family_of
from tools.packaging.install import family_of_names, family_of_release, find_family
from tools.packaging.listing import render_listing
from waagent.guest.profile import Profile
from waagent.guest.profiles import RULES, profile_of
from waagent.guest.release import RENAMED, Release

SAMPLES = ROOT / "tests/data/os-release"
NAMES = [(family, name) for family in FAMILIES for name in family.names]
RUN_TIME_NAMES = sorted({name for rule in RULES for name in rule.names})
FAMILY_OF_SAMPLE = {
    "almalinux-9.4": "redhat",
    "alpine-3.20": "alpine",
    "arch": "arch",
    "azurelinux-3.0": "azurelinux",
    "centos-stream-9": "redhat",
    "chainguard": "chainguard",
    "clear-linux-42000": "clearlinux",
    "debian-12": "debian",
    "devuan-5": "devuan",
    "amzn-2023": "fedora",
    "fedora-41": "fedora",
    "flatcar-4081": "flatcar",
    "kali-2024.4": "debian",
    "linuxmint-22": "ubuntu",
    "mariner-2.0": "azurelinux",
    "opensuse-leap-15.6": "suse",
    "opensuse-tumbleweed": "suse",
    "oracle-9.4": "redhat",
    "photon-5.0": "photon",
    "sle-micro-5.5": "suse",
    "sles-15.5": "sles",
    "unknown-1": "default",
    "ubuntu-24.04": "ubuntu",
}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_family_gets_the_files_that_were_reviewed(family: Family) -> None:
    reviewed = (ROOT / f"tests/data/packaging/{family.name}.txt").read_text("utf-8")
    renew = "python3 -m tools.packaging.listing tests/data/packaging"
    assert render_listing(family) == reviewed, f"if that is meant, run {renew}"


def test_no_list_of_files_outlives_its_family() -> None:
    found = {path.stem for path in (ROOT / "tests/data/packaging").glob("*.txt")}
    assert found == {family.name for family in FAMILIES}


def test_distribution_belongs_to_one_family_only() -> None:
    names = [name for family in FAMILIES for name in {family.name, *family.names}]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("sample", sorted(FAMILY_OF_SAMPLE))
def test_family_is_found_by_what_os_release_says(sample: str) -> None:
    path = SAMPLES / sample
    text = path.read_text("utf-8") if path.is_file() else _os_release_in(path)
    assert family_of_release(text).name == FAMILY_OF_SAMPLE[sample]


def test_machine_without_a_name_gets_the_default_family() -> None:
    assert family_of_release("NAME=Nothing\n") is DEFAULT


def test_family_that_nobody_knows_is_refused_when_asked_for() -> None:
    with pytest.raises(SystemExit, match=r'cannot install for "plan9": FAMILY is one of debian, '):
        find_family("plan9")


@pytest.mark.parametrize("name", RUN_TIME_NAMES)
def test_agent_finds_at_run_time_what_was_installed(name: str) -> None:
    family = family_of(name)
    assert family is not DEFAULT
    _agree(family, profile_of(Release(RENAMED.get(name, name), "")))


@pytest.mark.parametrize("sample", sorted(path.name for path in SAMPLES.iterdir()))
def test_agent_finds_on_every_sample_what_was_installed_there(sample: str) -> None:
    """Whether it is named in the tables, or is like what is named there."""
    release = read_sample(sample)
    names = (release.name, *release.like)
    _agree(family_of_names(names), profile_of(release))


def test_default_family_is_what_the_agent_takes_an_unknown_distribution_for() -> None:
    _agree(DEFAULT, profile_of(Release("some")))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_family_has_a_way_to_start_the_agent(family: Family) -> None:
    assert family.unit_dir or family.init_script


def test_every_shipped_configuration_and_init_script_has_a_family() -> None:
    shipped = {str(p.relative_to(ROOT / "config")) for p in (ROOT / "config").rglob("*.conf")}
    assert shipped == {family.conf for family in FAMILIES}
    scripts = {family.init_script.kind for family in FAMILIES if family.init_script}
    assert scripts == set(Init)


def _agree(family: Family, profile: Profile) -> None:
    assert family.service == profile.agent_service
    assert family.program_dir == profile.bin_dir
    assert family.conf_path == profile.conf_path
    assert family.unit_dir in (None, profile.unit_dir)


def _os_release_in(folder: Path) -> str:
    return (folder / "etc/os-release").read_text("utf-8")
