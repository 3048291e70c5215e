"""An image as it is captured: it has no host keys, and sshd gives up before we have made some."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

from tests.support.findings import Finding, look_at
from tests.vm import looks_account, looks_fabric, looks_machine
from tests.vm.lab import Booted, Lab
from tests.vm.qemu import MachineFailed

PATIENCE_S = 180.0
ODD = (MachineFailed, AssertionError)


def play(lab: Lab) -> Iterator[Finding]:
    """Boot it, and log in."""
    image = lab.image(lab.agent).copy(lab.folder / "captured.disk")
    image.change("rm /etc/ssh/ssh_host_*")
    media = lab.person.media(hostname=lab.media_hostname)
    with lab.machine(media, image=image) as machine:
        on = Booted(machine, lab)

        def boots() -> tuple[bool, str]:
            machine.fabric.await_ready(PATIENCE_S)
            machine.await_up()
            keys = image.look("ls etc/ssh")
            return "ssh_host" not in keys, "Ready; the image has no host keys"

        looks: tuple[tuple[str, Callable[[], tuple[bool, str]]], ...] = (
            ("the machine boots and gets Ready", boots),
            ("ssh with the key works, and nothing else", lambda: looks_account.see_ssh(on)),
            ("the host has keys", lambda: looks_machine.see_host_keys(on)),
            ("the system is up, and no unit failed", lambda: looks_machine.see_system(on)),
            ("no request broke the protocol", lambda: looks_fabric.see_protocol(on)),
            ("nothing bad in log and journal", lambda: looks_machine.see_logs(on)),
        )
        yield from look_at(looks, *ODD)
        machine.switch_off()
