"""The disk of a machine that was not generalized becomes a second machine, with another id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

from tests.fabric import ECHO
from tests.support.findings import Finding, Look, look_at
from tests.vm import looks_account, looks_fabric, looks_machine
from tests.vm.image import Image
from tests.vm.lab import Booted, Lab
from tests.vm.machine import Machine
from tests.vm.qemu import MachineFailed
from tests.vm.scenarios.generalized import another_vm

PATIENCE_S = 180.0
ODD = (MachineFailed, AssertionError)
CHANGED = "VM is provisioned, but the VM unique identifier has changed."
# What belongs to one machine only, and is cleared (spec DAEMON 8.4): put there to see it go.
OF_ONE_MACHINE = ("/var/lib/waagent/partition", "/var/lib/waagent/waagent_rsm_update")


def play(lab: Lab) -> Iterator[Finding]:
    """A machine, and a copy of it that gets no disc."""
    media = lab.person.media(hostname=lab.media_hostname)
    with lab.machine(media) as machine:
        first = Booted(machine, lab)
        yield from look_at((("the machine boots and gets Ready", lambda: _boot(first)),), *ODD)
        machine.must("touch", *OF_ONE_MACHINE)
        keys = machine.must("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub")
        machine.switch_off()
        copied = Image(machine.disk.path).copy(lab.folder / "cloned.disk")
    with lab.machine(None, image=copied, vm=another_vm()) as machine:
        yield from look_at(Clone(machine, lab, keys).looks(), *ODD)
        machine.switch_off()


def _boot(on: Booted) -> tuple[bool, str]:
    on.machine.fabric.await_ready(PATIENCE_S)
    on.machine.fabric.await_extension(ECHO, seq_no=0, within_s=PATIENCE_S)
    on.machine.await_up()
    return True, on.machine.must("uname", "-n")


class Clone:
    """The second machine; each method is a look."""

    def __init__(self, machine: Machine, lab: Lab, keys: str) -> None:
        self._machine, self._lab, self._keys = machine, lab, keys

    def looks(self) -> tuple[Look, ...]:
        """In order."""
        on = Booted(self._machine, self._lab)

        def bind(see: Callable[[Booted], tuple[bool, str]]) -> Callable[[], tuple[bool, str]]:
            return lambda: see(on)

        return (
            ("the copy boots and gets Ready", lambda: _boot(on)),
            ("it takes the new id", bind(looks_machine.see_vm_id)),
            ("the fabric heard Ready, and nothing else", self.is_ready_only),
            ("user, name and host keys stay", self.keeps),
            ("ssh with the key works, and nothing else", bind(looks_account.see_ssh)),
            ("what belonged to the first machine is cleared", self.is_cleared),
            ("the log says what happened, once", self.says_so),
            ("the extension ran again", self.ran_again),
            ("no request broke the protocol", bind(looks_fabric.see_protocol)),
        )

    def is_ready_only(self) -> tuple[bool, str]:
        """It was not provisioned a second time."""
        seen = [r.state for r in self._machine.fabric.world.received.health]
        return seen == ["Ready"], ", ".join(seen)

    def keeps(self) -> tuple[bool, str]:
        """Nothing that people made is touched."""
        name = self._machine.must("uname", "-n").strip()
        keys = self._machine.must("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub")
        user = self._machine.run("getent", "passwd", self._lab.person.name)
        good = name == self._lab.media_hostname and keys == self._keys and user.code == 0
        return good, f"{name}; {user.said}; host keys as before: {keys == self._keys}"

    def is_cleared(self) -> tuple[bool, str]:
        """State of the other machine is gone."""
        left = [name for name in OF_ONE_MACHINE if self._machine.run("test", "-e", name).code == 0]
        return not left, f"left: {left or 'nothing'}"

    def says_so(self) -> tuple[bool, str]:
        """One warning, with the text that tools look for."""
        log = self._machine.read(looks_machine.LOG)
        return log.count(CHANGED) == 1, f"{log.count(CHANGED)} times"

    def ran_again(self) -> tuple[bool, str]:
        """The same settings are new to this machine."""
        calls = self._machine.read("/var/log/extension-calls.txt")
        ran = [line.split()[1] for line in calls.splitlines() if line.startswith("== ")]
        return ran.count("enable") == 2, ", ".join(ran)
