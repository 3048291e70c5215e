"""A real first boot with a fault in it, and the next start without."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Union

from tests.demo.guest import DAEMON_OUTPUT, Guest
from tests.e2e.facts import Wish, complaints
from tests.e2e.kills import REAL, await_true
from tests.fabric import ECHO
from tests.faults.rows import CommandFault, DiskFault, How, Outcome

HEALED, HURT = "/run/healed", "/run/hurt"
CONF = {
    "Provisioning.DeleteRootPassword": "y",
    "Provisioning.ExecuteCustomData": "y",
    "Provisioning.RegenerateSshHostKeyPair": "y",
}
SCRIPT = b"#!/bin/sh\necho ran\n"
WITHIN_S = 30.0


def _real(name: str, real: str) -> str:
    return REAL.get(name, real)  # ejecting is for machines with a drive


def shims(fault: Union[CommandFault, DiskFault]) -> Mapping[str, str]:
    """Programs that stand before the real ones in PATH, until all is healed."""
    if isinstance(fault, DiskFault):
        if fault.when is None:
            return {}
        hurt = f"[ -e {HURT} ] || {{ touch {HURT}; {fault.hurt}; }}"
        return {fault.when: f'#!/bin/sh\n{hurt}\nexec {REAL[fault.when]} "$@"\n'}
    program = fault.program
    bad = "exec sleep 10000" if fault.how is How.HANGS else 'echo "it says no" >&2; exit 1'
    if fault.how is How.MISSING:
        return {}
    go_on = f'[ -e {HEALED} ] && exec {_real(program.name, program.real)} "$@"'
    return {program.name: f"#!/bin/sh\n{go_on}\n{bad}\n"}


def check(fault: Union[CommandFault, DiskFault], within_s: float = WITHIN_S) -> None:
    """Boot with the fault, see what the table says, heal, start again, see that all is well."""
    wish = Wish(custom_data=SCRIPT)
    files = {f"/usr/local/sbin/{name}": text for name, text in shims(fault).items()}
    with Guest(wish.vm(), wish.media(), conf=CONF) as guest:
        for name, text in files.items():  # not before: the guest's network is made by ip too
            guest.path(name).write_text(text, encoding="utf-8")
            guest.path(name).chmod(0o755)
        _hurt(guest, fault)
        daemon = guest.start_daemon()
        _await_outcome(guest, fault.outcome, within_s)
        _heal(guest, fault)
        guest.kill(daemon, signal.SIGTERM)
        assert guest.await_exit(daemon, 10.0) == 0
        guest.start_daemon()
        guest.fabric.await_ready()
        guest.fabric.await_extension(ECHO, seq_no=0)
        wrong = complaints(guest, wish)
        assert not wrong, str(wrong)


def _await_outcome(guest: Guest, outcome: Outcome, within_s: float) -> None:
    health = guest.fabric.world.received.health
    if outcome.report is None:
        guest.fabric.await_ready(within_s)
    else:
        guest.fabric.await_(
            lambda: any(r.sub_status == "ProvisioningFailed" for r in health), within_s, "a failure"
        )
        assert outcome.report in str(health[-1].description)
        assert [r.state for r in health if r.state == "Ready"] == []
    said = outcome.said or ""
    await_true(lambda: said in guest.read(DAEMON_OUTPUT), f"the log to say {said}")


def _hurt(guest: Guest, fault: Union[CommandFault, DiskFault]) -> None:
    if isinstance(fault, DiskFault):
        _shell(guest, fault.before if fault.when else fault.hurt)
    elif fault.how is How.MISSING:
        _shell(guest, _in_each_folder(fault.program.name, "", ".away"))


def _heal(guest: Guest, fault: Union[CommandFault, DiskFault]) -> None:
    guest.path(HEALED).touch()
    if isinstance(fault, DiskFault):
        _shell(guest, fault.heal)
    elif fault.how is How.MISSING:
        _shell(guest, _in_each_folder(fault.program.name, ".away", ""))


def _in_each_folder(name: str, now: str, then: str) -> str:
    files = " ".join(f"{folder}/{name}" for folder in ("/usr/sbin", "/usr/bin"))
    return f'for f in {files}; do [ ! -e "$f{now}" ] || mv "$f{now}" "$f{then}"; done'


def _shell(guest: Guest, text: str) -> None:
    done = guest.run("sh", "-c", text)
    assert done.code == 0, done.output
