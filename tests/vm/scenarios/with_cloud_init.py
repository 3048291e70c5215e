"""Debian's own cloud-init sets the machine up; the agent waits for it, and runs extensions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

from tests.fabric import ECHO
from tests.support.findings import Finding, Look, look_at
from tests.vm import looks_account, looks_fabric, looks_machine
from tests.vm.lab import Booted, Lab
from tests.vm.machine import Machine
from tests.vm.qemu import MachineFailed

PATIENCE_S = 300.0
ODD = (MachineFailed, AssertionError)
# A small image has no other locale than C.UTF-8.
INSTALL = """apt-get update -qq
apt-get install -y -qq --no-install-recommends cloud-init
echo 'locale: C.UTF-8' >/etc/cloud/cloud.cfg.d/90-locale.cfg
"""


def play(lab: Lab) -> Iterator[Finding]:
    """Boot an image that has cloud-init, and look who did what."""
    image = lab.image(lab.agent).copy(lab.folder / "with-cloud-init.disk")
    image.change(INSTALL, log=lab.folder / "cloud-init.log")
    with lab.machine(lab.person.media(hostname=lab.media_hostname), image=image) as machine:
        yield from look_at(Story(machine, lab).looks(), *ODD)
        machine.switch_off()


class Story:
    """One machine; each method is a look."""

    def __init__(self, machine: Machine, lab: Lab) -> None:
        self._machine, self._lab = machine, lab

    def looks(self) -> tuple[Look, ...]:
        """In order."""
        on = Booted(self._machine, self._lab)

        def bind(see: Callable[[Booted], tuple[bool, str]]) -> Callable[[], tuple[bool, str]]:
            return lambda: see(on)

        return (
            ("the machine boots and gets Ready", self.boots),
            ("cloud-init did it, on what it took for Azure", self.is_cloud_inits),
            ("the agent left it to cloud-init", self.was_left),
            ("ssh with the password works", self.takes_the_password),
            ("the machine's id is noted", bind(looks_machine.see_vm_id)),
            ("the extension ran and said success", bind(looks_fabric.see_extension)),
        )

    def boots(self) -> tuple[bool, str]:
        """The agent's child runs an extension after all of it."""
        self._machine.fabric.await_extension(ECHO, seq_no=0, within_s=PATIENCE_S)
        self._machine.await_up()
        reports = self._machine.fabric.world.received.health
        return "Ready" in [r.state for r in reports], ", ".join(r.state for r in reports)

    def is_cloud_inits(self) -> tuple[bool, str]:
        """By its own word."""
        done = self._machine.run("cloud-init", "status", "--long", "--wait", within_s=120)
        return "status: done" in done.output and "DataSourceAzure" in done.output, done.said

    def was_left(self) -> tuple[bool, str]:
        """The log says who provisions, and that it is finished."""
        log = self._machine.read(looks_machine.LOG)
        good = "Using cloud-init for provisioning" in log and "Finished provisioning" in log
        return good, f"sudoers of ours: {self._machine.run('ls', looks_account.SUDOERS).code == 0}"

    def takes_the_password(self) -> tuple[bool, str]:
        """cloud-init's work; it takes keys from the metadata service, which has none here."""
        person = self._lab.person
        done = self._machine.ssh_with_password(person.name, person.password, "id -un; uname -n")
        return done.output.split() == [person.name, self._lab.media_hostname], done.said
