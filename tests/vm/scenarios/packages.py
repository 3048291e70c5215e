"""Our package takes over from Debian's own, is upgraded, removed, purged, and installed anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable

from tests.fabric import ECHO
from tests.support.findings import Finding, look_at
from tests.vm.agents import AS_SHIPPED, DROP_IN, DebiansOwn, DebPackage
from tests.vm.lab import Booted, Lab
from tests.vm.looks_machine import LIB, agent_processes, see_processes, see_service
from tests.vm.machine import Machine
from tests.vm.qemu import MachineFailed

PATIENCE_S = 180.0
ODD = (MachineFailed, AssertionError)
APT = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "-q", "-o", "Dpkg::Use-Pty=0")
OFFLINE = ("--no-install-recommends",)
# What an installed agent leaves after a purge on purpose, or what others write.
NOT_OURS = ("/etc/sudoers.d", "/var/log/extension-calls.txt")


class Story:
    """One machine through the life of a package; each method is a look."""

    def __init__(self, machine: Machine, lab: Lab, package: DebPackage) -> None:
        self._machine, self._lab, self._package = machine, lab, package
        self._name = f"/var/tmp/{package.path.name}"
        self._facts: dict[str, str] = {}

    def boots_with_debians(self) -> tuple[bool, str]:
        """The machine is one that Debian's own agent has set up."""
        machine = self._machine
        machine.fabric.await_ready(PATIENCE_S)
        machine.fabric.await_extension(ECHO, seq_no=0, within_s=PATIENCE_S)
        machine.await_up()
        machine.send(self._package.path, self._name)
        machine.must("sh", "-c", AS_SHIPPED)  # as nobody has edited it, so that dpkg asks nothing
        machine.must("rm", "-r", DROP_IN)
        self._facts = self._identity()
        version = machine.must("dpkg-query", "-W", "-f", "${Version}", "waagent")
        return not version.startswith("2.15."), f"waagent {version}, Ready, the extension ran"

    def is_upgraded(self) -> tuple[bool, str]:
        """apt replaces Debian's agent; ours is running in its place."""
        before = agent_processes(self._machine)
        statuses = len(self._machine.fabric.world.received.statuses)
        done = self._machine.run(*APT, "install", *OFFLINE, self._name, within_s=300)
        if done.code:
            return False, f"apt: {done.code}: {done.said}"
        version = self._machine.must("dpkg-query", "-W", "-f", "${Version}", "waagent")
        self._machine.fabric.await_status(self._is_ours, since=statuses, within_s=PATIENCE_S)
        left = set(before) & set(agent_processes(self._machine))
        return not left, f"apt: {done.code}, waagent {version}; old processes left: {len(left)}"

    def leaves_no_old_files(self) -> tuple[bool, str]:
        """Every file of the package is as shipped, and none of Debian's own remains."""
        changed = self._machine.run("dpkg", "-V", "waagent").said
        places = "/usr/lib/python3/dist-packages/azurelinuxagent /etc/init.d/walinuxagent"
        old = self._machine.run("sh", "-c", f"ls -d {places} 2>/dev/null").output.split()
        conf = self._machine.must("sh", "-c", "ls /etc/waagent.conf* /etc/logrotate.d/waagent*")
        good = not changed and not old and ".dpkg" not in conf
        return good, f"changed: {changed or 'none'}; old: {old or 'none'}; {' '.join(conf.split())}"

    def keeps_the_machine(self) -> tuple[bool, str]:
        """Keys, name, accounts and what extensions have are as they were; nothing is run again."""
        now = self._identity()
        reports = [r.state for r in self._machine.fabric.world.received.health]
        differs = [name for name in self._facts if now[name] != self._facts[name]]
        installs = self._machine.read("/var/log/extension-calls.txt").count("== install")
        good = not differs and installs == 1
        text = f"differs: {differs or 'nothing'}; the extension was installed {installs} time"
        return good, f"{text}; health reports {', '.join(reports)}"

    def upgrades_over_itself(self) -> tuple[bool, str]:
        """A new package restarts the agent; a process that an extension left lives on."""
        machine = self._machine
        machine.fabric.portal.update_settings(ECHO, public={"echo": "left", "leave": 3600})
        machine.fabric.await_extension(ECHO, seq_no=1, within_s=PATIENCE_S)
        left = machine.must("pgrep", "-f", "^sleep 3600").split()
        before = set(agent_processes(machine))
        statuses = len(machine.fabric.world.received.statuses)
        words = ("install", "--reinstall", *OFFLINE, self._name)
        done = machine.run(*APT, *words, within_s=300)
        if done.code:
            return False, f"apt: {done.code}: {done.said}"
        machine.fabric.await_status(self._is_ours, since=statuses + 1, within_s=PATIENCE_S)
        after = set(agent_processes(machine))
        alive = machine.run("pgrep", "-f", "^sleep 3600").output.split()
        good = not before & after and len(after) == 2 and alive == left
        return good, f"apt: {done.code}; new processes: {len(after - before)}; left one: {alive}"

    def stays_off(self) -> tuple[bool, str]:
        """An upgrade does not start what the administrator has disabled or masked."""
        machine, unit = self._machine, f"{self._lab.service}.service"
        good, said = True, []
        for off, state, on in (("disable", "disabled", "enable"), ("mask", "masked", "unmask")):
            machine.must("systemctl", off, "--now", unit)
            done = machine.run(*APT, "install", "--reinstall", *OFFLINE, self._name, within_s=300)
            seen = machine.run("systemctl", "is-enabled", unit).output.strip()
            running = len(agent_processes(machine))
            machine.must("systemctl", on, unit)
            good = good and done.code == 0 and seen == state and not running
            said.append(f"apt: {done.code}, {seen}, processes: {running}")
        machine.must("systemctl", "start", unit)
        return good, "; ".join(said)

    def is_removed(self) -> tuple[bool, str]:
        """Removal stops the agent and keeps its state."""
        done = self._machine.run(*APT, "remove", "waagent", within_s=300)
        running = agent_processes(self._machine)
        kept = self._machine.run("ls", f"{LIB}/provisioned", "/etc/waagent.conf")
        good = done.code == 0 and not running and kept.code == 0
        return good, f"apt: {done.code}; processes: {len(running)}; kept: {kept.said}"

    def is_purged(self) -> tuple[bool, str]:
        """A purge leaves nothing of the agent, and every account."""
        done = self._machine.run(*APT, "purge", "waagent", within_s=300)
        elsewhere = ("/proc", "/sys", "/var/lib/dpkg", "/var/lib/apt", "/var/tmp")
        pruned = " -o ".join(f"-path {folder}" for folder in elsewhere)
        named = "-iname *waagent* -o -iname *walinuxagent* -o -path /etc/systemd/system/azure*"
        script = f"find / -xdev ( {pruned} ) -prune -o ( {named} ) -print"
        found = self._machine.must(*script.split()).split()
        found += self._machine.run("sh", "-c", "ls -d /var/log/azure 2>/dev/null").output.split()
        left = [f for f in found if not f.startswith(NOT_OURS) and "/var/log/journal" not in f]
        state = self._machine.run("systemctl", "is-enabled", f"{self._lab.service}.service").said
        login = self._machine.ssh(
            self._lab.person.name, "id -un", "-i", str(self._lab.person.private_key)
        )
        good = done.code == 0 and not left and login.output.strip() == self._lab.person.name
        return (
            good,
            f"apt: {done.code}; left: {left or 'nothing'}; the unit: {state}; ssh: {login.said}",
        )

    def is_installed_anew(self) -> tuple[bool, str]:
        """Installed on a machine that runs, it adopts it: no new keys, name or password."""
        statuses = len(self._machine.fabric.world.received.statuses)
        done = self._machine.run(*APT, "install", *OFFLINE, self._name, within_s=300)
        if done.code:
            return False, f"apt: {done.code}: {done.said}"
        self._machine.fabric.await_status(self._is_ours, since=statuses, within_s=PATIENCE_S)
        now = self._identity()
        differs = [name for name in self._facts if now[name] != self._facts[name]]
        return not differs, f"apt: {done.code}; differs: {differs or 'nothing'}"

    def _identity(self) -> dict[str, str]:
        """What an installation must not change."""
        machine = self._machine
        return {
            "host keys": machine.must("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub"),
            "name": machine.must("uname", "-n"),
            "accounts": machine.read("/etc/passwd") + machine.read("/etc/shadow"),
            "sudoers": machine.must("sh", "-c", "cat /etc/sudoers.d/*"),
        }

    @staticmethod
    def _is_ours(status: dict[str, Any]) -> bool:
        """Whether a status document is of our agent."""
        version: str = status["aggregateStatus"]["guestAgentStatus"]["version"]
        return version.startswith("2.15.")


def play(lab: Lab) -> Iterator[Finding]:
    """Only where there are packages to look at."""
    if not isinstance(lab.agent, DebPackage):
        yield Finding("the life of a package", True, "no package is tested", tried=False)
        return
    media = lab.person.media(hostname=lab.media_hostname)
    with lab.machine(media, image=lab.image(DebiansOwn())) as machine:
        story = Story(machine, lab, lab.agent)
        looks: tuple[tuple[str, Callable[[], tuple[bool, str]]], ...] = (
            ("Debian's own agent sets the machine up", story.boots_with_debians),
            ("apt replaces it by ours", story.is_upgraded),
            ("the service is active and ready", lambda: see_service(Booted(machine, lab))),
            ("a daemon and its child run", lambda: see_processes(Booted(machine, lab))),
            ("no file of the old package is left", story.leaves_no_old_files),
            ("the machine is what it was", story.keeps_the_machine),
            ("ours is upgraded over itself", story.upgrades_over_itself),
            ("what is switched off stays off", story.stays_off),
            ("it is removed", story.is_removed),
            ("it is purged", story.is_purged),
            ("it is installed on a machine that runs", story.is_installed_anew),
        )
        yield from look_at(looks, *ODD)
        machine.switch_off()
