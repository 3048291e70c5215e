"""A machine with a password is generalized and captured; its disk becomes another, with a key."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Callable

from tests.fabric import ECHO, first_boot
from tests.fabric.model import Identity, Vm
from tests.support.findings import Finding, Look, look_at
from tests.vm import looks_account, looks_fabric, looks_machine
from tests.vm.image import Image
from tests.vm.lab import Booted, Lab, Person
from tests.vm.machine import Machine
from tests.vm.qemu import MachineFailed

PATIENCE_S = 180.0
ODD = (MachineFailed, AssertionError)
FIRST_NAME = "first-of-two"
FIRST_USER = "firstuser"
RAN = "/var/tmp/custom-data-ran"
CUSTOM_DATA = f"#!/bin/sh\nid -un >>{RAN}\n"
RUN_CUSTOM_DATA = (
    "sed -i -e 's/^Provisioning.DecodeCustomData=.*/Provisioning.DecodeCustomData=y/'"
    " -e 's/^Provisioning.ExecuteCustomData=.*/Provisioning.ExecuteCustomData=y/' /etc/waagent.conf"
)
# The journal and wtmp tell of the past of a disk, and nobody takes them away.
HOLD_NAMES = "/etc /home /root /var/lib/waagent /var/lib/dhcp /var/log/waagent.log /var/log/azure"


def play(lab: Lab) -> Iterator[Finding]:
    """Two lives of one disk."""
    image = lab.image(lab.agent).copy(lab.folder / "runs-custom-data.disk")
    image.change(RUN_CUSTOM_DATA)
    first = dataclasses.replace(lab.person, name=FIRST_USER)
    media = first.media(hostname=FIRST_NAME, keys=(), custom_data=CUSTOM_DATA.encode())
    with lab.machine(media, image=image) as machine:
        life = FirstLife(machine, first)
        yield from look_at(life.looks(), *ODD)
        machine.switch_off()
        captured = Image(machine.disk.path).copy(lab.folder / "generalized.disk")
        yield from look_at((("the image has nothing of the machine", life.is_gone),), *ODD)
    media = lab.person.media(
        hostname=lab.media_hostname, password=None, disable_password_authentication=True
    )
    with lab.machine(media, image=captured, vm=another_vm()) as machine:
        yield from look_at(SecondLife(machine, lab, life).looks(), *ODD)
        machine.switch_off()


def another_vm() -> Vm:
    """A machine that was made from the first one's disk."""
    identity = Identity(vm_id="1b2d3c4e-5f60-4718-92a3-b4c5d6e7f809", mac_address="000D3A3382E9")
    container = "7a1e2f6c-9d84-4b53-a0e7-5c1b3d9f8e61"
    return dataclasses.replace(first_boot(), identity=identity, containers=(container,))


class FirstLife:
    """The machine that is captured; each method is a look."""

    def __init__(self, machine: Machine, person: Person) -> None:
        self._machine, self._person = machine, person
        self.host_keys = ""

    def looks(self) -> tuple[Look, ...]:
        """In order."""
        return (
            ("the machine boots and gets Ready", self.boots),
            ("ssh with the password works, with another not", self.takes_the_password),
            ("sudo takes the password", self.takes_it_for_sudo),
            ("custom data ran once, as root", self.ran_custom_data),
            ("a dry run shows the plan and changes nothing", self.shows_the_plan),
            ("an answer of no changes nothing", self.takes_no),
            ("it is generalized", self.is_generalized),
        )

    def boots(self) -> tuple[bool, str]:
        """Ready, and the extension has run."""
        self._machine.fabric.await_ready(PATIENCE_S)
        self._machine.fabric.await_extension(ECHO, seq_no=0, within_s=PATIENCE_S)
        self._machine.await_up()
        self.host_keys = self._machine.must("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub")
        return True, self._machine.must("uname", "-n")

    def takes_the_password(self) -> tuple[bool, str]:
        """Only with the right one somebody gets in."""
        name = self._person.name
        done = self._machine.ssh_with_password(name, self._person.password, "id -un; uname -n")
        other = self._machine.ssh_with_password(name, "another", "id -un")
        good = done.output.split() == [name, FIRST_NAME] and "denied" in other.errors
        return good, f"{done.said}; with another: {other.said}"

    def takes_it_for_sudo(self) -> tuple[bool, str]:
        """The user is asked for it."""
        name = self._person.name
        words = ("runuser", "-u", name, "--", "sudo", "-S", "-k", "-p", "", "id", "-un")
        done = self._machine.run(*words, given=f"{self._person.password}\n".encode())
        return done.output.strip() == "root", done.said

    def ran_custom_data(self) -> tuple[bool, str]:
        """It left one line."""
        ran = self._machine.read(RAN).split()
        mode = self._machine.must("stat", "-c", "%a", "/var/lib/waagent/CustomData").strip()
        return ran == ["root"] and mode == "700", f"ran as {ran}, mode {mode}"

    def shows_the_plan(self) -> tuple[bool, str]:
        """What would go is told, and is still there."""
        done = self._machine.run("waagent", "-deprovision+user", "-dry-run")
        told = f"{FIRST_USER} account and entire home directory" in done.output
        left = self._machine.run("getent", "passwd", FIRST_USER).code
        keys = self._machine.must("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub")
        good = done.code == 0 and told and left == 0 and keys == self.host_keys
        return good, f"code {done.code}, {len(done.output.splitlines())} lines"

    def takes_no(self) -> tuple[bool, str]:
        """Nothing is done after an "n"."""
        done = self._machine.run("waagent", "-deprovision+user", given=b"n\n")
        active = self._machine.run("systemctl", "is-active", "waagent").said
        left = self._machine.run("getent", "passwd", FIRST_USER).code
        return left == 0 and active == "active", f"code {done.code}; the service is {active}"

    def is_generalized(self) -> tuple[bool, str]:
        """As an image builder does it; what the test's extension noted is ours to remove."""
        self._machine.must("rm", "/var/log/extension-calls.txt", RAN)
        done = self._machine.run("waagent", "-deprovision+user", "-force", within_s=120)
        warnings = done.output.count("WARNING!")
        return done.code == 0 and not done.errors, f"code {done.code}, {warnings} warnings"

    def is_gone(self) -> tuple[bool, str]:
        """Neither name, nor user, nor key, nor state."""
        look = self._machine.disk.look
        left = look("ls etc/ssh | grep ssh_host || true; ls -A home var/lib/waagent || true")
        keys = [line.split()[1] for line in self.host_keys.splitlines()]
        words = [FIRST_NAME, FIRST_USER, self._person.public_key.split()[1], *keys]
        patterns = " ".join(f"-e '{word}'" for word in words)
        places = " ".join(name[1:] for name in HOLD_NAMES.split())
        found = look(f"grep -rlF {patterns} {places} 2>/dev/null || true").split()
        name = look("cat etc/hostname").strip()
        good = left.split() == ["home:", "var/lib/waagent:"] and not found
        good = good and name == "localhost.localdomain"
        text = f"left: {left.split()}; its names are in: {', '.join(found) or 'no file'}"
        return good, f"{text}; the name is {name}"


class SecondLife:
    """The machine that was made from the image; each method is a look."""

    def __init__(self, machine: Machine, lab: Lab, before: FirstLife) -> None:
        self._machine, self._lab, self._before = machine, lab, before

    def looks(self) -> tuple[Look, ...]:
        """In order."""
        on = Booted(self._machine, self._lab)
        general: tuple[tuple[str, Callable[[Booted], tuple[bool, str]]], ...] = (
            ("the system is up, and no unit failed", looks_machine.see_system),
            ("the user exists, with the right groups", looks_account.see_user),
            ("ssh with the key works, and nothing else", looks_account.see_ssh),
            ("the name is set", looks_machine.see_hostname),
            ("the host's keys are new", looks_machine.see_host_keys),
            ("the machine's id is noted", looks_machine.see_vm_id),
            ("the fabric heard Provisioning, then Ready", looks_fabric.see_health),
            ("the extension ran and said success", looks_fabric.see_extension),
            ("no request broke the protocol", looks_fabric.see_protocol),
            ("nothing bad in log and journal", looks_machine.see_logs),
        )

        def bind(see: Callable[[Booted], tuple[bool, str]]) -> Callable[[], tuple[bool, str]]:
            return lambda: see(on)

        return (
            ("the image boots as another machine", self.boots),
            *((f"again: {what}", bind(see)) for what, see in general),
            ("sudo asks for no password", self.needs_no_password),
            ("no password is taken", self.takes_no_password),
            ("the first machine's user and keys are gone", self.has_nothing_old),
        )

    def boots(self) -> tuple[bool, str]:
        """Ready, and the extension has run."""
        self._machine.fabric.await_ready(PATIENCE_S)
        self._machine.fabric.await_extension(ECHO, seq_no=0, within_s=PATIENCE_S)
        self._machine.await_up()
        return True, self._machine.must("uname", "-n")

    def needs_no_password(self) -> tuple[bool, str]:
        """The user has none."""
        words = ("runuser", "-u", self._lab.person.name, "--", "sudo", "-n", "id", "-un")
        done = self._machine.run(*words)
        return done.output.strip() == "root", done.said

    def takes_no_password(self) -> tuple[bool, str]:
        """sshd does not even ask."""
        person = self._lab.person
        done = self._machine.ssh_with_password(person.name, person.password, "id -un")
        offered = self._machine.must("sshd", "-T").lower()
        shadow = self._machine.must("getent", "shadow", person.name).split(":")[1]
        ways = [w for w in ("password", "kbdinteractive") if f"{w}authentication yes" in offered]
        good = "denied (publickey)" in done.errors.lower() and not ways and shadow in ("!", "*")
        return good, f"{done.said}; sshd offers {ways or 'keys only'}; shadow: {shadow}"

    def has_nothing_old(self) -> tuple[bool, str]:
        """Neither the account nor a key of the first machine."""
        account = self._machine.run("getent", "passwd", FIRST_USER)
        keys = self._machine.must("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub").splitlines()
        kept = [key for key in keys if key and key in self._before.host_keys]
        words = ("-e", FIRST_NAME, "-e", FIRST_USER)
        found = self._machine.run("grep", "-rlF", *words, *HOLD_NAMES.split())
        good = account.code != 0 and not kept and not found.output
        return good, f"keys kept: {len(kept)}; its names are in: {found.output or 'no file'}"
