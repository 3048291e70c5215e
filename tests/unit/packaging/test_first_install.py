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
RESTARTED = "invoke restart walinuxagent.service\n"
SYSTEMCTL = """case "$*" in
'show --property=ActiveState walinuxagent.service') echo ActiveState={state} ;;
'show --property=Job walinuxagent.service') printf '{job}' ;;
show*) exit 9 ;;
esac"""


@dataclass
class Guest:
    """A machine that a script is run on, as files below a folder."""

    root: Path
    running: bool = True
    chroot: bool = False
    asset_tag: str = AZURE
    vm_id: str = VM_ID
    unit: str = "inactive"
    job: str = "Job=0\\n"

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
            "systemctl": SYSTEMCTL.format(state=self.unit, job=self.job),
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


def test_rpm_upgrade_is_no_first_install(guest: Guest) -> None:
    guest.run(post(), "2")
    assert not guest.marker.exists()


@pytest.mark.parametrize(
    "words", [("configure", ""), ("configure", "2.15.1.0-1"), ("abort-remove",)]
)
class TestDebOnAMachineThatRuns:
    """The machine decides, and not what dpkg calls the occasion."""

    def test_adopts_and_starts_where_the_service_does_not_run(
        self, guest: Guest, words: tuple[str, ...]
    ) -> None:
        said = guest.run(postinst(), *words)
        assert ADOPTED in said
        assert said.endswith(RESTARTED)
        assert guest.marker.read_text("utf-8") == VM_ID

    @pytest.mark.parametrize("state", ["active", "activating", "reloading", "deactivating"])
    def test_restarts_an_agent_that_may_be_provisioning_and_does_not_mark(
        self, guest: Guest, words: tuple[str, ...], state: str
    ) -> None:
        guest.unit = state
        assert guest.run(postinst(), *words) == RESTARTED
        assert not guest.marker.exists()

    def test_leaves_an_agent_to_the_boot_that_has_yet_to_start_it(
        self, guest: Guest, words: tuple[str, ...]
    ) -> None:
        guest.job = "Job=118\\n"
        said = guest.run(postinst(), *words)
        assert "invoke" not in said
        assert "the boot that is under way" in said
        assert not guest.marker.exists()

    @pytest.mark.parametrize("job", ["", "Job=\\n", "Job=0\\n"])
    def test_starts_where_no_job_waits_however_that_is_said(
        self, guest: Guest, words: tuple[str, ...], job: str
    ) -> None:
        """systemd 252 prints the property also where there is none."""
        guest.job, guest.asset_tag = job, AZURE
        assert "invoke" in guest.run(postinst(), *words)

    @pytest.mark.parametrize("state", ["inactive", "failed"])
    @pytest.mark.parametrize("tag", [AZURE, "something else"])
    def test_starts_where_the_machine_is_marked(
        self, guest: Guest, words: tuple[str, ...], state: str, tag: str
    ) -> None:
        guest.unit, guest.asset_tag = state, tag
        guest.put("var/lib/waagent/provisioned", VM_ID)
        assert guest.run(postinst(), *words) == RESTARTED

    def test_does_not_start_where_an_image_may_be_made(
        self, guest: Guest, words: tuple[str, ...]
    ) -> None:
        guest.asset_tag = "something else"
        said = guest.run(postinst(), *words)
        assert "invoke" not in said
        assert "at the next boot" in said

    def test_leaves_a_vm_alone_where_services_must_not_be_started(
        self, guest: Guest, words: tuple[str, ...]
    ) -> None:
        guest.put("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        said = guest.run(postinst(), *words)
        assert "invoke" not in said
        assert "at the next boot" in said
        assert not guest.marker.exists()

    def test_says_and_starts_nothing_in_a_chroot(
        self, guest: Guest, words: tuple[str, ...]
    ) -> None:
        guest.chroot, guest.unit = True, "active"
        assert guest.run(postinst(), *words) == ""


def test_deb_stops_the_service_when_it_is_removed_and_not_for_an_upgrade(guest: Guest) -> None:
    assert guest.run(debian("prerm"), "remove") == "invoke stop walinuxagent.service\n"
    assert guest.run(debian("prerm"), "upgrade", "3") == ""


OF_THE_AGENT = (
    "var/lib/waagent/Some.Extension-1.0/bin/run",
    "var/log/azure/Some.Extension/log",
    "var/log/waagent.log",
    "var/log/waagent.log-2026.gz",
    "run/waagent.pid",
    "run/3_waagent.pid",
)


def test_deb_purge_takes_state_and_logs_and_leaves_peoples_rights(guest: Guest) -> None:
    kept = guest.put("etc/sudoers.d/waagent", "azureuser ALL=(ALL) ALL")
    gone = [guest.put(name, "") for name in OF_THE_AGENT]
    guest.run(debian("postrm"), "remove")
    assert all(path.exists() for path in gone)
    guest.run(debian("postrm"), "purge")
    assert not [path for path in gone if path.exists()]
    assert kept.exists()
    assert not (guest.root / "var/lib/waagent").exists()


def test_deb_purge_takes_nothing_from_another_package_that_has_the_agent_now(
    guest: Guest,
) -> None:
    kept = [guest.put(name, "") for name in OF_THE_AGENT]
    guest.put("usr/sbin/waagent", "#!/bin/sh\n", 0o755)
    helper = "\necho helper took the service away\n"  # where debhelper adds its own
    assert "took" not in guest.run(debian("postrm") + helper, "purge")
    assert all(path.exists() for path in kept)


def test_deb_purge_looks_for_an_agent_in_the_root_that_dpkg_names(guest: Guest) -> None:
    """Paths of the script begin with the guest's folder already, so they do below that root too."""
    gone = guest.put(f"other{guest.root}/var/log/waagent.log", "")
    guest.put("usr/sbin/waagent", "#!/bin/sh\n", 0o755)
    script = f"DPKG_ROOT={guest.root}/other\n{debian('postrm')}"
    guest.run(script, "purge")
    assert not gone.exists()
    guest.put(f"other{guest.root}/usr/sbin/waagent", "#!/bin/sh\n", 0o755)
    kept = guest.put(f"other{guest.root}/var/log/waagent.log", "")
    guest.run(script, "purge")
    assert kept.exists()
