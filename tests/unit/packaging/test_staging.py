"""`make install`: templates are filled, modes are explicit, and what was installed runs."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.architecture.source import ROOT
from tools.packaging.families import (
    ALPINE,
    CHAINGUARD,
    DEBIAN,
    DEVUAN,
    FAMILIES,
    PHOTON,
    REDHAT,
    UBUNTU,
    Family,
)
from tools.packaging.install import main
from tools.packaging.rpm_files import render_rpm_files
from tools.packaging.service import plan_registration
from tools.packaging.staging import (
    Choice,
    Kind,
    plan_data,
    plan_files,
    remove_stale_modules,
    render_program,
    render_template,
    write_files,
)
from waagent.core.version import AGENT_VERSION


def content(row: Family, path: str) -> str:
    """What a family gets at a path."""
    (found,) = [each for each in plan_data(row) if each.path == path]
    return found.content.decode()


def make_install(root: Path, *words: str) -> str:
    """Run `make install` with a narrow umask, as a careful administrator has it."""
    argv = ("make", "-s", "install", f"DESTDIR={root}", f"PYTHON={sys.executable}", *words)
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, umask=0o77)
    return done.stdout


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_no_installed_text_has_a_variable_left(family: Family) -> None:
    for each in plan_data(family):
        if each.kind is not Kind.DOCUMENT:  # which may speak of them
            assert not re.search("@[A-Z]+@", each.content.decode()), each.path


def test_template_with_an_unknown_variable_is_refused() -> None:
    with pytest.raises(SystemExit, match="cannot fill @SOCKET@ in a template"):
        render_template("ListenStream=@SOCKET@\n", DEBIAN)


def test_unit_has_the_names_and_the_order_of_its_family() -> None:
    ubuntu = content(UBUNTU, "/lib/systemd/system/walinuxagent.service").splitlines()
    assert "After=network-online.target cloud-init.service" in ubuntu
    assert "Alias=waagent.service" in ubuntu
    photon = content(PHOTON, "/usr/lib/systemd/system/waagent.service").splitlines()
    assert "ExecStart=/usr/bin/python3 -u /usr/bin/waagent -daemon" in photon
    assert not [line for line in photon if line.startswith("Alias=")]


def test_preset_is_where_systemd_looks_for_presets() -> None:
    preset = content(CHAINGUARD, "/usr/lib/systemd/system-preset/90-waagent.preset")
    assert preset.strip() == "enable waagent.service"


def test_script_for_devuan_is_switched_off_by_a_file_of_its_name() -> None:
    assert "WALINUXAGENT_ENABLED=1" in content(DEVUAN, "/etc/default/walinuxagent")
    assert "NAME='walinuxagent'" in content(DEVUAN, "/etc/init.d/walinuxagent")
    assert content(ALPINE, "/etc/init.d/waagent").startswith("#!/sbin/openrc-run\n")


def test_command_is_told_where_modules_are_unless_python_looks_there_anyway() -> None:
    text = (ROOT / "bin/waagent").read_text("utf-8")
    assert render_program(text, DEBIAN) == text
    told = render_program(text, Choice(REDHAT, python="/usr/bin/python3.12").row)
    assert told.startswith("#!/usr/bin/python3.12\n")
    assert 'import sys\n\nsys.path.insert(0, "/usr/lib/waagent")\n\nfrom waagent' in told


def test_make_install_gives_a_command_that_runs_whatever_the_umask(tmp_path: Path) -> None:
    root, modules = tmp_path / "root", tmp_path / "modules"
    said = make_install(
        root, "FAMILY=fedora", f"AGENT_PYTHON={sys.executable}", f"PYTHONDIR={modules}"
    )
    assert said.endswith(f" files for fedora, in {root}\n")
    staged = root / str(modules).lstrip("/")
    staged.rename(modules)  # as if the root were the root
    argv = (sys.executable, "-I", root / "usr/sbin/waagent", "-version")
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"WALinuxAgent-{AGENT_VERSION} running on ")


def test_make_install_sets_every_mode_and_makes_no_bytecode(tmp_path: Path) -> None:
    make_install(tmp_path / "root", "FAMILY=debian")
    found = sorted(p for p in (tmp_path / "root").rglob("*") if not p.is_dir())
    planned = {each.path: each.mode for each in plan_files(DEBIAN)}
    relative = [f"/{path.relative_to(tmp_path / 'root')}" for path in found]
    assert relative == sorted(planned)
    for name, path in zip(relative, found):
        assert path.stat().st_mode & 0o7777 == planned[name], name
    folders = {p.stat().st_mode & 0o7777 for p in (tmp_path / "root").rglob("*") if p.is_dir()}
    assert folders == {0o755}


def test_second_install_leaves_no_module_of_the_first(tmp_path: Path) -> None:
    assert main(["--destdir", str(tmp_path), "--family", "suse"]) == 0
    stale = tmp_path / "usr/lib/waagent/waagent/gone.py"
    stale.write_text("", "utf-8")
    link = tmp_path / "usr/sbin/waagent"
    link.unlink()
    link.symlink_to(tmp_path / "elsewhere")
    assert main(["--destdir", str(tmp_path), "--family", "suse"]) == 0
    assert not stale.exists()
    assert not link.is_symlink()
    assert not (tmp_path / "elsewhere").exists()


def test_files_are_replaced_and_not_written_through_links(tmp_path: Path) -> None:
    row = replace(REDHAT, python_dir="/opt/agent")
    kept = tmp_path / "kept"
    kept.write_text("mine", "utf-8")
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/etc/waagent.conf").symlink_to(kept)
    remove_stale_modules(row, tmp_path / "root")
    write_files(plan_files(row), tmp_path / "root")
    assert kept.read_text("utf-8") == "mine"


def test_rpm_list_keeps_configuration_and_owns_the_agents_folders() -> None:
    lines = render_rpm_files(REDHAT, plan_files(REDHAT)).splitlines()
    assert "%attr(0644,root,root) %config(noreplace) /etc/waagent.conf" in lines
    assert "%dir /usr/lib/waagent" in lines
    assert "%dir /usr/lib/waagent/waagent/core" in lines
    assert "%dir /usr/sbin" not in lines
    assert "%attr(0644,root,root) %doc /usr/share/man/man1/waagent.1*" in lines


def test_service_is_registered_by_the_init_system_of_its_family() -> None:
    assert plan_registration(REDHAT)[1:] == tuple(
        ("systemctl", word, "waagent") for word in ("enable", "stop", "start")
    )
    assert plan_registration(ALPINE)[0] == ("rc-update", "add", "waagent", "default")
    assert plan_registration(DEVUAN)[-1] == ("service", "walinuxagent", "start")
