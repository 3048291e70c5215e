"""Each command of a first boot fails, does not end, or is not there: the table of docs/faults.md.

In process, where time passes at once; `make faults` has the same rows with real programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fabric import Fabric
from tests.fabric.media import OvfMedia
from tests.faults.commands import PROGRAMS, command_faults
from tests.faults.document import DOCUMENT, render
from tests.faults.rows import CommandFault, How
from tests.support.machine import routes
from tests.support.new_machine import KEY, KEYS_FILE, READY, USER, WANTED, World, plain_vm
from tests.support.runner import Answers, Argv, fails, missing, ok, times_out
from waagent.daemon.boot import boot
from waagent.daemon.outcome import DONE

ANSWERS = {How.FAILS: fails(1, "it says no"), How.HANGS: times_out(), How.MISSING: missing()}
CONF = "Provisioning.ExecuteCustomData=y\nProvisioning.RegenerateSshHostKeyPair=y\n"
ROUTES = {"/proc/net/route": routes(("eth0", "10813FA8", "0100000A", "0007", 0, "FFFFFFFF"))}
MORE: dict[Argv, Answers] = {
    ("/bin/sh",): ok(),
    ("getent",): fails(2),
    ("service",): fails(1),
}
CASES = [(fault, distro) for fault in command_faults() for distro in fault.program.machines]


@pytest.fixture
def fabric() -> Iterator[Fabric]:
    """A fabric that delivers no certificates."""
    with Fabric(plain_vm()) as running:
        yield running


class Faulty(World):
    """A new machine on which one program has a fault, until it is healed."""

    def hurt(self, fault: CommandFault) -> None:
        """From now on the program does what the row says."""
        bad = ANSWERS[fault.how]
        names = (fault.program.name, f"/bin/{fault.program.name}")
        self.working = self.guest.runner.answers
        self.guest.runner.answers = {
            argv: bad if argv[0] in names else answer for argv, answer in self.working.items()
        }
        if fault.how is How.MISSING:
            self.guest.path(f"/usr/bin/{fault.program.name}").unlink(missing_ok=True)

    def heal(self) -> None:
        """It works again."""
        self.guest.runner.answers = self.working


def machine(folder: Path, fabric: Fabric, distro: str) -> Faulty:
    """With systemd, or without."""
    media = OvfMedia(**{**vars(WANTED), "custom_data": b"#!/bin/sh\n"})
    world = Faulty(
        folder,
        fabric,
        media,
        conf=CONF,
        commands=MORE,
        files=ROUTES,
        distro=distro,
    )
    if distro == "debian-12":
        world.guest.path("/run/systemd/system").rmdir()
    return world


def complaints(world: World) -> list[str]:
    """What is wrong with a machine that should be set up."""
    guest = world.guest
    names = [argv[0] for argv in guest.ran]
    wrong = {
        "not marked": not world.has("provisioned"),
        "no account": f"{USER}:" not in guest.file("/etc/passwd"),
        "no password": "chpasswd" not in names,
        "no sudoer": guest.file("/etc/sudoers.d/waagent") != f"{USER} ALL=(ALL) ALL\n",
        "no key": guest.file(KEYS_FILE) != f"{KEY}\n",
        "sshd": "ClientAliveInterval 180" not in guest.file("/etc/ssh/sshd_config"),
        "no custom data": not world.has("CustomData") or names.count("/bin/sh") != 1,
        "root has a password": not guest.file("/etc/shadow").startswith("root:*LOCK*:"),
        "leftovers": any(name.endswith("new") for name in guest.names("/etc/ssh")),
    }
    return [what for what, is_so in wrong.items() if is_so]


@pytest.mark.parametrize(
    ("fault", "distro"), CASES, ids=lambda value: getattr(value, "name", value)
)
def test_first_boot_ends_as_the_table_says_when(
    tmp_path: Path,
    fabric: Fabric,
    caplog: pytest.LogCaptureFixture,
    fault: CommandFault,
    distro: str,
) -> None:
    world = machine(tmp_path, fabric, distro)
    world.hurt(fault)
    with caplog.at_level("INFO"):
        assert boot(world.context, world.guest.profile) == DONE
    state, sub_status, text = world.health[-1]
    if fault.outcome.report is None:
        assert (state, sub_status, complaints(world)) == ("Ready", None, [])
    else:
        assert (state, sub_status) == ("NotReady", "ProvisioningFailed")
        assert fault.outcome.report in str(text)
        assert not world.has("provisioned")
    assert (fault.outcome.said or "") in caplog.text
    runs = world.guest.runner.calls
    limits = [run.timeout_s for run in runs if Path(run.argv[0]).name == fault.program.name]
    assert max(limits, default=0) <= fault.program.limit_s
    world.heal()
    assert boot(world.context, world.guest.profile) == DONE
    assert world.health[-1] == READY
    assert complaints(world) == []


def test_every_command_of_a_first_boot_has_its_rows(tmp_path: Path, fabric: Fabric) -> None:
    ran = set()
    for distro in ("rhel-9.4", "debian-12"):
        world = machine(tmp_path / distro, fabric, distro)
        assert boot(world.context, world.guest.profile) == DONE
        ran |= {(Path(argv[0]).name, distro) for argv in world.guest.ran}
    assert ran == {(program.name, each) for program in PROGRAMS for each in program.machines}


def test_table_for_people_is_what_the_rows_say() -> None:
    written = DOCUMENT.read_text(encoding="utf-8")
    assert written == render(), "write docs/faults.md anew: python -m tests.faults"
