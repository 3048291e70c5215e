"""The RPM: what is in it, what it asks for, and that it goes in, over itself and out again."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.architecture.source import ROOT
from tools.packaging.families import REDHAT, SLES
from tools.packaging.rpm import name_python
from tools.packaging.staging import Choice, Kind, plan_files
from waagent.core.version import AGENT_VERSION

SCRIPTS = ("PREIN", "POSTIN", "PREUN", "POSTUN", "POSTTRANS")
MAN_PAGE = "/usr/share/man/man1/waagent.1"


def query(package: Path, *words: str) -> list[str]:
    """What rpm says of a package that is not installed."""
    argv = ("rpm", "-qp", *words, str(package))
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_rpm_has_exactly_the_files_of_its_family_with_their_modes(redhat_package: Path) -> None:
    found = {}
    form = "[%{FILENAMES} %{FILEMODES:octal} %{FILEUSERNAME}:%{FILEGROUPNAME}\n]"
    for line in query(redhat_package, "--qf", form):
        path, mode, owner = line.split()
        assert owner == "root:root"
        if mode.startswith("100"):
            found[path.removesuffix(".gz")] = int(mode[3:], 8)
    assert found == {each.path: each.mode for each in plan_files(REDHAT)}


def test_rpm_treats_exactly_the_configuration_as_configuration(redhat_package: Path) -> None:
    expected = sorted(e.path for e in plan_files(REDHAT) if e.kind is Kind.CONFIG)
    assert sorted(query(redhat_package, "-c")) == expected
    assert f"{MAN_PAGE}.gz" in query(redhat_package, "-d")


def test_rpm_asks_for_what_the_agent_imports_from_the_same_floors(redhat_package: Path) -> None:
    setup = (ROOT / "setup.py").read_text("utf-8")
    floors = dict(re.findall(r'"([a-z0-9]+)>=([0-9.]+)"', setup))
    required = query(redhat_package, "-R")
    assert {f"python3-{name} >= {floor}" for name, floor in floors.items()} <= set(required)
    assert "python3 >= 3.9" in required


def test_rpm_takes_the_place_of_the_distributions_own(redhat_package: Path) -> None:
    full = f"{AGENT_VERSION}-1"
    assert query(redhat_package, "--qf", "%{NAME} %{VERSION}-%{RELEASE}") == [f"waagent {full}"]
    assert f"WALinuxAgent < {full}" in query(redhat_package, "--obsoletes")
    assert f"WALinuxAgent = {full}" in query(redhat_package, "--provides")


@pytest.mark.parametrize("name", SCRIPTS)
def test_rpm_scripts_are_plain_shell_without_macros_left(redhat_package: Path, name: str) -> None:
    text = "\n".join(query(redhat_package, "--qf", f"%{{{name}}}"))
    assert "%{" not in text
    assert "waagent.service" in text
    subprocess.run(("sh", "-n"), input=text, text=True, check=True)


def test_spec_names_this_version_for_builders_who_run_it_themselves() -> None:
    spec = (ROOT / "tools/packaging/rpm/waagent.spec").read_text("utf-8")
    assert f"%global agent_version {AGENT_VERSION}}}" in spec


@pytest.mark.root
def test_rpm_goes_in_over_itself_and_out_and_leaves_a_changed_configuration(
    redhat_package: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()

    def rpm(*words: str) -> str:
        where = ("--root", str(root), "--dbpath", "/var/lib/rpm")
        argv = ("rpm", "--force-debian", *where, *words)
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    package, alone = str(redhat_package), ("--nodeps", "--noscripts")  # an empty root has no shell
    rpm("-i", *alone, package)
    assert rpm("-V", *alone, "waagent") == ""
    with (root / "etc/waagent.conf").open("a", encoding="utf-8") as conf:
        conf.write("# mine\n")
    rpm("-U", "--replacepkgs", *alone, package)
    assert rpm("-q", "waagent").split() == [f"waagent-{AGENT_VERSION}-1.noarch"]
    assert (root / "etc/waagent.conf").read_text("utf-8").endswith("# mine\n")
    rpm("-e", *alone, "waagent")
    left = {p.relative_to(root) for p in root.rglob("*") if p.is_file()}
    assert {str(p) for p in left if p.parts[:3] != ("var", "lib", "rpm")} == {
        "etc/waagent.conf.rpmsave"
    }
    assert not (root / "usr/lib/waagent").exists()


@pytest.mark.parametrize(
    ("family", "python", "prefix"),
    [
        (REDHAT, "/usr/bin/python3", "python3"),
        (REDHAT, "/usr/bin/python3.12", "python3.12"),
        (SLES, "/usr/bin/python3.11", "python311"),
    ],
)
def test_packages_for_another_python_are_named_as_the_distribution_names_them(
    family: object, python: str, prefix: str
) -> None:
    assert family in (REDHAT, SLES)
    row = REDHAT if family is REDHAT else SLES
    assert name_python(Choice(row, python).row) == prefix


def test_python_of_nobodys_package_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"cannot name the packages for /opt/python"):
        name_python(Choice(REDHAT, "/opt/python").row)
