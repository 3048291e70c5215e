"""Units and scripts in init/ agree with the code, the table of families and each other."""

from __future__ import annotations

import re
from configparser import RawConfigParser

import pytest

from tests.architecture.source import ROOT
from tools.packaging.families import FAMILIES, Family
from tools.packaging.staging import render_template
from waagent.daemon import child

WITH_UNIT = [family for family in FAMILIES if family.unit_dir]
WITH_SCRIPT = [family for family in FAMILIES if family.init_script]
each_unit = pytest.mark.parametrize("family", WITH_UNIT, ids=lambda family: str(family.name))
each_script = pytest.mark.parametrize("family", WITH_SCRIPT, ids=lambda family: str(family.name))


def render(name: str, family: Family) -> str:
    """A template of init/ as a family gets it."""
    return render_template((ROOT / "init" / name).read_text("utf-8"), family)


def unit_of(family: Family) -> dict[str, dict[str, list[str]]]:
    """Its service: section, key and every value that was given to it."""
    sections: dict[str, dict[str, list[str]]] = {}
    current: dict[str, list[str]] = {}
    for line in render("waagent.service.in", family).splitlines():
        if line.startswith("["):
            current = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            current.setdefault(key, []).append(value)
    return sections


def only(values: list[str]) -> str:
    """The one value of a key."""
    assert len(values) == 1
    return values[0]


@each_unit
def test_unit_is_ready_when_the_daemon_says_so_and_leaves_what_extensions_run(
    family: Family,
) -> None:
    service = unit_of(family)["Service"]
    assert only(service["Type"]) == "notify"
    assert only(service["NotifyAccess"]) == "main"
    assert only(service["KillMode"]) == "process"
    assert only(service["OOMPolicy"]) == "continue"


@each_unit
def test_unit_never_gives_up(family: Family) -> None:
    unit = unit_of(family)
    assert only(unit["Service"]["Restart"]) == "always"
    assert only(unit["Service"]["RestartSec"]) == "5"
    assert only(unit["Unit"]["StartLimitIntervalSec"]) == "0"


@each_unit
def test_unit_gives_the_daemon_time_to_stop_its_child(family: Family) -> None:
    """And the watchdog no less than three beats of a sensible length."""
    service = unit_of(family)["Service"]
    assert int(only(service["TimeoutStopSec"])) > child.STOP_WITHIN_S + child.DIE_WITHIN_S
    assert int(only(service["WatchdogSec"])) >= 60


@each_unit
def test_unit_starts_after_cloud_init_s_network_stage_and_not_after_its_last(
    family: Family,
) -> None:
    """The last one waits for multi-user.target, which waits for us."""
    unit = unit_of(family)
    after = {name for line in unit["Unit"]["After"] for name in line.split()}
    stages = {"cloud-init.service", "cloud-init-network.service"}
    host_keys = {"sshd-keygen.service", "sshd-keygen.target"}
    assert {*stages, *host_keys, *family.after} <= after
    assert not after & {"cloud-final.service", "cloud-init.target", "multi-user.target"}
    assert only(unit["Install"]["WantedBy"]) == "multi-user.target"


@each_unit
def test_unit_is_not_started_where_program_or_configuration_is_missing(family: Family) -> None:
    unit = unit_of(family)
    assert only(unit["Unit"]["ConditionFileIsExecutable"]) == family.program
    assert only(unit["Unit"]["ConditionPathExists"]) == family.conf_path


@each_unit
def test_slice_of_the_unit_is_shipped_with_it(family: Family) -> None:
    assert family.slices
    slice_name = only(unit_of(family)["Service"]["Slice"])
    assert (ROOT / "init" / slice_name).is_file()


@pytest.mark.parametrize("name", ["azure.slice", "azure-vmextensions.slice"])
def test_slice_is_there_before_all_others_and_has_no_option_that_systemd_removed(
    name: str,
) -> None:
    parser = RawConfigParser()
    parser.read(ROOT / "init" / name, encoding="utf-8")
    assert parser["Unit"]["DefaultDependencies"] == "no"
    assert parser["Unit"]["Before"] == "slices.target"
    assert not parser.has_option("Slice", "CPUAccounting")


@each_script
def test_script_gives_the_daemon_time_to_stop_its_child(family: Family) -> None:
    assert family.init_script is not None
    text = render(family.init_script.kind.value, family)
    found = re.search(r"^(?:STOP_WITHIN=|retry=\"TERM/)(\d+)", text, re.MULTILINE)
    assert found is not None
    assert int(found.group(1)) > child.STOP_WITHIN_S + child.DIE_WITHIN_S


def test_preset_enables_the_service_of_the_families_that_have_one() -> None:
    words = (ROOT / "init/90-waagent.preset").read_text("utf-8").split()
    services = {f"{family.service}.service" for family in FAMILIES if family.preset_dir}
    assert words == ["enable", *services]


def test_page_about_hardening_has_the_options_that_the_unit_sets() -> None:
    """Each as it stands there."""
    page = (ROOT / "docs/hardening.md").read_text("utf-8")
    table = page.partition("## Set")[2].partition("\n## ")[0]
    promised = dict(re.findall(r"^\| `(\w+)=([^`]*)` \|", table, re.MULTILINE))
    service = unit_of(WITH_UNIT[0])["Service"]
    assert {key: only(service[key]) for key in promised} == promised
    assert len(promised) >= 7
