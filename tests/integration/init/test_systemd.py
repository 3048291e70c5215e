"""The units, as the machine's own systemd reads them."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.init.tools import INIT, PROJECT, Outcome, render, require, run
from tools.packaging.families import DEBIAN, FAMILIES, Family

WITH_UNIT = [family for family in FAMILIES if family.unit_dir]
# How the units of cloud-init are ordered in Debian 12 and 13, under the names of both.
CLOUD_INIT = {
    "cloud-init.service": "DefaultDependencies=no\nBefore=network-online.target sysinit.target\n",
    "cloud-init-network.service": (
        "DefaultDependencies=no\nBefore=network-online.target sysinit.target\n"
    ),
    "cloud-config.target": "After=cloud-init.service cloud-init-network.service\n",
    "cloud-config.service": "After=network-online.target cloud-config.target\n",
    "cloud-final.service": "After=network-online.target cloud-config.service multi-user.target\n",
    "cloud-init.target": (
        "Wants=cloud-init.service cloud-init-network.service cloud-config.service"
        " cloud-final.service\nAfter=multi-user.target\n"
    ),
}


def install(folder: Path, family: Family) -> Path:
    """The family's units in a folder, for programs that this machine has; the service."""
    program = folder / "bin/waagent"
    program.parent.mkdir(parents=True)
    program.touch(0o755)
    here = replace(family, python=sys.executable, program_dir=str(program.parent))
    service = folder / f"{family.service}.service"
    service.write_text(render("waagent.service.in", here), encoding="utf-8")
    for name in ("azure.slice", "azure-vmextensions.slice"):
        (folder / name).write_text((INIT / name).read_text("utf-8"), encoding="utf-8")
    return service


def analyze(folder: Path, *words: str) -> Outcome:
    """Ask systemd-analyze, for which the folder's units come before the machine's."""
    program = require("systemd-analyze", package="systemd")
    return run(program, *words, environment={"SYSTEMD_UNIT_PATH": f"{folder}:"})


@pytest.mark.parametrize("family", WITH_UNIT, ids=lambda family: str(family.name))
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path, family: Family) -> None:
    service = install(tmp_path, family)
    slices = [str(path) for path in tmp_path.glob("*.slice")]
    outcome = analyze(tmp_path, "verify", "--man=no", str(service), *slices)
    assert outcome == Outcome(0, "")


def boot_with_cloud_init(folder: Path, family: Family) -> str:
    """What systemd says of a boot with us and cloud-init."""
    service = install(folder, family)
    for name, order in CLOUD_INIT.items():
        kind = "[Service]\nExecStart=/bin/true\nType=oneshot\n" if "service" in name else ""
        (folder / name).write_text(f"[Unit]\n{order}{kind}", encoding="utf-8")
    wanted = folder / "multi-user.target.wants"
    wanted.mkdir()
    for name in (service.name, "cloud-init.target"):
        (wanted / name).symlink_to(folder / name)
    return analyze(folder, "verify", "--man=no", "multi-user.target").said


@pytest.mark.parametrize("family", WITH_UNIT, ids=lambda family: str(family.name))
def test_boot_with_cloud_init_has_no_ordering_cycle(tmp_path: Path, family: Family) -> None:
    assert "cycle" not in boot_with_cloud_init(tmp_path, family)


def test_ordering_cycle_with_cloud_init_would_be_found(tmp_path: Path) -> None:
    late = replace(DEBIAN, after=("cloud-final.service",))
    assert "Found ordering cycle" in boot_with_cloud_init(tmp_path, late)


def test_page_about_hardening_judges_every_option_that_systemd_knows(tmp_path: Path) -> None:
    service = install(tmp_path, DEBIAN)
    outcome = analyze(tmp_path, "security", "--offline=true", "--json=short", str(service))
    assert outcome.code == 0
    names = " ".join(entry["name"] for entry in json.loads(outcome.said))
    known = set(re.findall(r"\b([A-Z]\w+)=", names))
    assert len(known) > 30
    page = (PROJECT / "docs/hardening.md").read_text("utf-8")
    assert known <= set(re.findall(r"`(\w+)[=`]", page))
