"""The Debian package: what is in it, what it asks for, what its scripts do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.architecture.source import ROOT
from tools.packaging.families import DEBIAN
from tools.packaging.staging import Kind, plan_files
from waagent.core.version import AGENT_VERSION

ADDED_BY_DEBHELPER = {"changelog.Debian", "copyright", "README.Debian"}
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")


def run(*argv: object) -> str:
    """What a command says."""
    done = subprocess.run([str(w) for w in argv], capture_output=True, text=True, check=True)
    return done.stdout


def read_field(package: Path, name: str) -> str:
    """A field of the package's control file."""
    return run("dpkg-deb", "-f", package, name).strip()


def read_control(package: Path, folder: Path) -> Path:
    """Unpack the control files."""
    run("dpkg-deb", "-e", package, folder / "control")
    return folder / "control"


def test_deb_has_exactly_the_files_of_its_family_with_their_modes(debian_package: Path) -> None:
    found = {}
    for line in run("dpkg-deb", "-c", debian_package).splitlines():
        mode, owner, *_, path = line.split()
        assert owner == "root/root"
        if not mode.startswith("d"):
            found[path[1:].removesuffix(".gz") if "/usr/share/" in path else path[1:]] = mode
    modes = {0o644: "-rw-r--r--", 0o755: "-rwxr-xr-x"}
    expected = {each.path: modes[each.mode] for each in plan_files(DEBIAN)}
    expected |= {f"/usr/share/doc/waagent/{name}": "-rw-r--r--" for name in ADDED_BY_DEBHELPER}
    assert found == expected


def test_deb_treats_exactly_the_configuration_as_configuration(
    debian_package: Path, tmp_path: Path
) -> None:
    listed = (read_control(debian_package, tmp_path) / "conffiles").read_text("utf-8").split()
    expected = [each.path for each in plan_files(DEBIAN) if each.kind is Kind.CONFIG]
    assert sorted(listed) == sorted(expected)


def test_deb_is_named_and_numbered_so_that_it_follows_debians_own(debian_package: Path) -> None:
    version = read_field(debian_package, "Version")
    assert read_field(debian_package, "Package") == "waagent"
    assert version == f"{AGENT_VERSION}-1"
    run("dpkg", "--compare-versions", version, "gt", "2.7.3.0-4.1")  # in Debian 12
    assert read_field(debian_package, "Provides") == f"walinuxagent (= {version})"
    assert read_field(debian_package, "Conflicts") == "walinuxagent"


def test_deb_depends_on_what_the_agent_imports_from_the_same_floors(debian_package: Path) -> None:
    setup = (ROOT / "setup.py").read_text("utf-8")
    floors = dict(re.findall(r'"([a-z0-9]+)>=([0-9.]+)"', setup))
    depends = read_field(debian_package, "Depends")
    for name, floor in floors.items():
        assert f"python3-{name} (>= {floor})" in depends
    assert "python3:any (>= 3.9)" in depends


def test_deb_scripts_are_plain_shell_and_take_over_at_this_version(
    debian_package: Path, tmp_path: Path
) -> None:
    control = read_control(debian_package, tmp_path)
    for name in SCRIPTS:
        run("sh", "-n", control / name)
    postinst = (control / "postinst").read_text("utf-8")
    assert f"OURS={AGENT_VERSION}-1~" in postinst
    taken_over = f"rm_conffile /etc/init.d/walinuxagent {AGENT_VERSION}-1~ waagent"
    assert taken_over in postinst.replace("\\~", "~")


def test_deb_enables_the_service_and_leaves_the_rest_to_our_own_scripts(
    debian_package: Path, tmp_path: Path
) -> None:
    control = read_control(debian_package, tmp_path)
    scripts = {name: (control / name).read_text("utf-8") for name in SCRIPTS}
    assert "deb-systemd-helper enable 'walinuxagent.service'" in scripts["postinst"]
    assert "deb-systemd-helper purge 'walinuxagent.service'" in scripts["postrm"]
    acts = [
        (name, found)
        for name, text in scripts.items()
        for found in re.findall(r"deb-systemd-invoke (\S+) \S*(?:walinuxagent|UNIT)", text)
    ]
    assert acts == [("postinst", "restart"), ("prerm", "stop")]
