"""The RPM takes the place of the distribution's own: every script, in the order in which rpm runs.

The service manager is a stand-in that keeps two facts, enabled and active, as files; a package
that goes has the scripts that the systemd macros of the distributions make.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

AZURE = "7783-7084-3265-9085-8269-3286-77"
VM_ID = "12345678-abcd-ef01-2345-6789abcdef01"
ABSOLUTE = re.compile(r"(?<![\w.])/(?=(?:etc|lib|run|sys|usr|var)/)")
SECTION = re.compile(r"^%(pre|post|preun|postun|posttrans)\n(.*?)(?=^%\w|\Z)", re.M | re.S)
UNIT = "waagent.service"
SYSTEMCTL = """\
echo "$*" >>{root}/calls
verb= now=no
for word; do
    case $word in
    --now) now=yes ;;
    -*) ;;
    waagent.service) ;;
    *) verb=$word ;;
    esac
done
case $verb in
is-enabled) [ -e {root}/enabled ] ;;
is-active) [ -e {root}/active ] ;;
enable) : >{root}/enabled ;;
preset) {preset} ;;
disable) rm -f {root}/enabled; [ $now = no ] || rm -f {root}/active ;;
start | restart) : >{root}/active ;;
try-restart) ;;
stop) rm -f {root}/active ;;
daemon-reload) ;;
*) echo "undeclared: $*" >&2; exit 9 ;;
esac
"""
# %systemd_preun and %systemd_postun_with_restart of the package that goes, with no version left.
FOREIGN_PREUN = f"systemctl --no-reload disable --now {UNIT}"
FOREIGN_POSTUN = "systemctl daemon-reload"


def scripts_of_ours() -> dict[str, str]:
    """The scripts of the spec, with its macros filled."""
    spec = (ROOT / "tools/packaging/rpm/waagent.spec").read_text("utf-8")
    values = {
        "python_dir": "/usr/lib/waagent",
        "agent_python": "true",
        "service": UNIT,
        "state": "/var/lib/rpm-state/waagent",
    }
    found = {}
    for name, body in SECTION.findall(spec):
        filled = re.sub(r"%\{(\w+)\}", lambda match: values[str(match[1])], body)
        found[name] = filled.replace("%%", "%")
    return found


@dataclass
class Guest:
    """A VM on Azure that runs, as files below a folder."""

    root: Path
    preset: str = ":"

    def put(self, name: str, text: str, mode: int = 0o644) -> None:
        """A file of the machine."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        path.chmod(mode)

    def set_up(self) -> None:
        """What every machine has."""
        self.put("sys/class/dmi/id/chassis_asset_tag", f"{AZURE}\n")
        self.put("sys/class/dmi/id/product_uuid", f"{VM_ID}\n")
        for folder in ("run/systemd/system", "var/lib", "usr/lib/waagent/waagent"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        manager = SYSTEMCTL.format(root=self.root, preset=self.preset)
        self.put("bin/systemctl", f"#!/bin/sh\n{manager}", 0o755)
        self.put("bin/systemd-detect-virt", "#!/bin/sh\nexit 1\n", 0o755)

    def run(self, script: str, left: int) -> None:
        """Run a script, told how many versions of its package there will be."""
        script = ABSOLUTE.sub(f"{self.root}/", script)  # nothing may reach this machine's own
        done = subprocess.run(
            ("sh", "-c", script, "script", str(left)),
            env={"PATH": f"{self.root}/bin:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "undeclared" not in done.stderr

    def take_over(self) -> None:
        """A transaction that installs ours and removes the package that it obsoletes."""
        self.set_up()
        ours = scripts_of_ours()
        self.run(ours["pre"], 1)
        self.run(ours["post"], 1)
        self.run(FOREIGN_PREUN, 0)
        self.run(FOREIGN_POSTUN, 0)
        self.run(ours["posttrans"], 1)

    @property
    def state(self) -> tuple[bool, bool]:
        """Whether the service is enabled, and whether it is active."""
        return (self.root / "enabled").exists(), (self.root / "active").exists()


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    """A VM on Azure that runs."""
    return Guest(tmp_path)


def test_spec_has_every_script_that_is_run_here() -> None:
    assert list(scripts_of_ours()) == ["pre", "post", "preun", "postun", "posttrans"]


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("active", [True, False])
def test_takeover_leaves_the_service_as_it_was(guest: Guest, enabled: bool, active: bool) -> None:
    for name in [name for name, is_so in (("enabled", enabled), ("active", active)) if is_so]:
        guest.put(name, "")
    guest.preset = f": >{guest.root}/enabled"
    guest.take_over()
    assert guest.state == (enabled, active)
    assert not (guest.root / "var/lib/rpm-state/waagent").exists()


def test_takeover_starts_ours_only_after_the_other_has_stopped_and_units_are_read(
    guest: Guest,
) -> None:
    guest.put("enabled", "")
    guest.put("active", "")
    guest.take_over()
    calls = (guest.root / "calls").read_text("utf-8").splitlines()
    assert calls[calls.index(FOREIGN_PREUN.partition(" ")[2]) + 1 :] == [
        "daemon-reload",
        f"--no-reload enable {UNIT}",
        "daemon-reload",
        f"restart {UNIT}",
    ]


def test_takeover_keeps_the_marker_of_the_agent_that_was_there(guest: Guest) -> None:
    guest.put("var/lib/waagent/provisioned", "as it was")
    guest.put("active", "")
    guest.take_over()
    assert (guest.root / "var/lib/waagent/provisioned").read_text("utf-8") == "as it was"


def test_takeover_is_not_led_by_what_an_earlier_transaction_left(guest: Guest) -> None:
    for name in ("enabled", "active"):
        guest.put(f"var/lib/rpm-state/waagent/{name}", "")
    guest.take_over()
    assert guest.state == (False, False)


def test_first_installation_without_another_agent_follows_the_preset(guest: Guest) -> None:
    guest.preset = f": >{guest.root}/enabled"
    guest.set_up()
    for name in ("pre", "post", "posttrans"):
        guest.run(scripts_of_ours()[name], 1)
    assert guest.state == (True, False)


@pytest.mark.parametrize("was", [(True, True), (False, False), (False, True), (True, False)])
def test_upgrade_of_ours_leaves_the_service_as_it_was(guest: Guest, was: tuple[bool, bool]) -> None:
    """The old package's scripts run between the new one's, told that one version is left."""
    guest.set_up()
    for name in [name for name, is_so in zip(("enabled", "active"), was) if is_so]:
        guest.put(name, "")
    ours = scripts_of_ours()
    for name, left in (("pre", 2), ("post", 2), ("preun", 1), ("postun", 1), ("posttrans", 2)):
        guest.run(ours[name], left)
    assert guest.state == was
    assert f"try-restart {UNIT}" in (guest.root / "calls").read_text("utf-8").splitlines()


def test_removal_switches_the_service_off_and_stops_it(guest: Guest) -> None:
    guest.set_up()
    guest.put("enabled", "")
    guest.put("active", "")
    guest.run(scripts_of_ours()["preun"], 0)
    guest.run(scripts_of_ours()["postun"], 0)
    assert guest.state == (False, False)
