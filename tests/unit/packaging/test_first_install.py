"""What a package does when it is installed for the first time: an image, a live VM, a laptop.

The scripts are run as they are, but below a folder, and with stand-ins for the service manager.
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
PACKAGING = ROOT / "tools/packaging"
ABSOLUTE = re.compile(r"(?<![\w.])/(?=(?:etc|lib|run|sys|usr|var)/)")
ADOPTED = "this VM is set up already"


@dataclass
class Guest:
    """A machine that a script is run on, as files below a folder."""

    root: Path
    running: bool = True
    chroot: bool = False
    asset_tag: str = AZURE
    vm_id: str = VM_ID

    def put(self, name: str, text: str, mode: int = 0o644) -> Path:
        """A file of the machine."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        path.chmod(mode)
        return path

    def run(self, script: str, *words: str) -> str:
        """Run a maintainer's script; what it says, with a line for each service that it starts."""
        self.put("sys/class/dmi/id/chassis_asset_tag", f"{self.asset_tag}\n")
        if self.vm_id:
            self.put("sys/class/dmi/id/product_uuid", f"{self.vm_id}\n")
        if self.running:
            (self.root / "run/systemd/system").mkdir(parents=True, exist_ok=True)
        (self.root / "var/lib").mkdir(parents=True, exist_ok=True)
        stand_ins = {
            "ischroot": f"exit {0 if self.chroot else 1}",
            "systemd-detect-virt": f"exit {0 if self.chroot else 1}",
            "deb-systemd-invoke": 'echo "invoke $*" >&3',
            "systemctl": ":",
        }
        for name, body in stand_ins.items():
            self.put(f"bin/{name}", f"#!/bin/sh\n{body}\n", 0o755)
        script = ABSOLUTE.sub(f"{self.root}/", script)  # nothing may reach this machine's own
        path = f"{self.root}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        done = subprocess.run(
            ("sh", "-c", f"exec 3>&1\n{script}", "script", *words),
            env={"PATH": path}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def marker(self) -> Path:
        """What tells the agent that the machine is set up."""
        return self.root / "var/lib/waagent/provisioned"


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    """A VM on Azure that runs."""
    return Guest(tmp_path)


def postinst() -> str:
    """Debian's script."""
    return debian("postinst")


def debian(name: str) -> str:
    """One of Debian's scripts, without what debhelper adds."""
    return (PACKAGING / f"debian/waagent.{name}").read_text("utf-8").replace("#DEBHELPER#", "")


def post() -> str:
    """The RPM's, with its macros filled."""
    spec = (PACKAGING / "rpm/waagent.spec").read_text("utf-8")
    body = spec.partition("\n%post\n")[2].partition("\n%preun\n")[0]
    values = {"%{python_dir}": "/usr/lib/waagent", "%{agent_python}": "true", "%{service}": "x"}
    for macro, value in values.items():
        body = body.replace(macro, value)
    return body.replace("%%", "%")


@pytest.mark.parametrize(
    ("script", "words"), [(postinst(), ("configure", "")), (post(), ("1",))], ids=["deb", "rpm"]
)
class TestFirstInstall:
    """Both kinds of package judge the machine in the same way."""

    def test_live_vm_on_azure_is_marked_as_set_up(
        self, guest: Guest, script: str, words: tuple[str, ...]
    ) -> None:
        assert ADOPTED in guest.run(script, *words)
        assert guest.marker.read_text("utf-8") == VM_ID
        assert guest.marker.stat().st_mode & 0o777 == 0o600
        assert guest.marker.parent.stat().st_mode & 0o777 == 0o700
        assert [path.name for path in guest.marker.parent.iterdir()] == ["provisioned"]

    def test_marker_that_is_there_already_is_kept(
        self, guest: Guest, script: str, words: tuple[str, ...]
    ) -> None:
        guest.put("var/lib/waagent/provisioned", "another machine")
        assert ADOPTED not in guest.run(script, *words)
        assert guest.marker.read_text("utf-8") == "another machine"

    def test_image_that_is_built_without_systemd_is_not_marked(
        self, guest: Guest, script: str, words: tuple[str, ...]
    ) -> None:
        guest.running = False
        guest.run(script, *words)
        assert not guest.marker.exists()

    def test_chroot_that_has_its_builders_run_and_sys_is_not_marked(
        self, guest: Guest, script: str, words: tuple[str, ...]
    ) -> None:
        guest.chroot = True
        guest.run(script, *words)
        assert not guest.marker.exists()

    @pytest.mark.parametrize(("tag", "vm_id"), [("To be filled by O.E.M.", VM_ID), (AZURE, "")])
    def test_machine_elsewhere_or_without_an_id_is_not_marked(
        self, guest: Guest, script: str, words: tuple[str, ...], tag: str, vm_id: str
    ) -> None:
        guest.asset_tag, guest.vm_id = tag, vm_id
        guest.run(script, *words)
        assert not guest.marker.exists()

    def test_upgrade_is_no_first_install(
        self, guest: Guest, script: str, words: tuple[str, ...]
    ) -> None:
        upgrade = ("configure", "2.7.3.0-4.1") if words[0] == "configure" else ("2",)
        guest.run(script, *upgrade)
        assert not guest.marker.exists()


def test_deb_starts_the_service_on_a_vm_that_it_found_set_up(guest: Guest) -> None:
    said = guest.run(postinst(), "configure", "")
    assert "invoke start walinuxagent.service" in said


def test_deb_does_not_start_the_service_where_an_image_may_be_made(guest: Guest) -> None:
    guest.asset_tag = "something else"
    said = guest.run(postinst(), "configure", "")
    assert "invoke" not in said
    assert "at the next boot" in said


def test_deb_leaves_a_vm_alone_where_services_must_not_be_started(guest: Guest) -> None:
    guest.put("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
    said = guest.run(postinst(), "configure", "")
    assert "at the next boot" in said
    assert not guest.marker.exists()


@pytest.mark.parametrize("before", ["2.7.3.0-4.1", "2.15.1.0-1"])
def test_deb_restarts_the_service_after_an_upgrade(guest: Guest, before: str) -> None:
    assert guest.run(postinst(), "configure", before) == "invoke restart walinuxagent.service\n"


def test_deb_stops_the_service_when_it_is_removed_and_not_for_an_upgrade(guest: Guest) -> None:
    assert guest.run(debian("prerm"), "remove") == "invoke stop walinuxagent.service\n"
    assert guest.run(debian("prerm"), "upgrade", "3") == ""


def test_deb_purge_takes_state_and_logs_and_leaves_peoples_rights(guest: Guest) -> None:
    kept = guest.put("etc/sudoers.d/waagent", "azureuser ALL=(ALL) ALL")
    gone = [
        guest.put(name, "")
        for name in (
            "var/lib/waagent/Some.Extension-1.0/bin/run",
            "var/log/azure/Some.Extension/log",
            "var/log/waagent.log",
            "var/log/waagent.log-2026.gz",
            "run/waagent.pid",
            "run/3_waagent.pid",
        )
    ]
    guest.run(debian("postrm"), "remove")
    assert all(path.exists() for path in gone)
    guest.run(debian("postrm"), "purge")
    assert not [path for path in gone if path.exists()]
    assert kept.exists()
    assert not (guest.root / "var/lib/waagent").exists()
