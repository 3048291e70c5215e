"""A new machine boots, is set up, runs an extension, and is restarted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

from tests.fabric import ECHO
from tests.support.findings import Finding, Look, look_at
from tests.vm import looks_account, looks_fabric, looks_machine
from tests.vm.lab import Booted, Lab
from tests.vm.machine import Machine
from tests.vm.qemu import MachineFailed

PATIENCE_S = 180.0

LOOKS: tuple[tuple[str, Callable[[Booted], tuple[bool, str]]], ...] = (
    ("the system is up, and no unit failed", looks_machine.see_system),
    ("the service is active and ready", looks_machine.see_service),
    ("a daemon and its child run", looks_machine.see_processes),
    ("the user exists, with the right groups", looks_account.see_user),
    ("the key is the user's alone", looks_account.see_key),
    ("ssh with the key works, and nothing else", looks_account.see_ssh),
    ("sudo takes the password", looks_account.see_sudo),
    ("the password is hashed, root has none", looks_account.see_password),
    ("the name is set", looks_machine.see_hostname),
    ("the host's keys are new", looks_machine.see_host_keys),
    ("the disc is ejected", looks_machine.see_disc),
    ("custom data is kept", looks_machine.see_custom_data),
    ("the machine's id is noted", looks_machine.see_vm_id),
    ("the wire server is known", looks_machine.see_endpoint),
    ("modes and owners of files", looks_machine.see_files),
    ("the fabric heard Provisioning, then Ready", looks_fabric.see_health),
    ("the extension ran and said success", looks_fabric.see_extension),
    ("telemetry arrived", looks_fabric.see_telemetry),
    ("no request broke the protocol", looks_fabric.see_protocol),
    ("nothing bad in log and journal", looks_machine.see_logs),
)


def play(lab: Lab) -> Iterator[Finding]:
    """Boot, look, restart, look again, switch off, and read the disk."""
    media = lab.person.media(hostname=lab.media_hostname, custom_data=lab.custom_data.encode())
    with lab.machine(media) as machine:
        yield from look_at((("the machine boots and gets Ready", lambda: _boot(machine)),), *ODD)
        yield from look_at(_with(Booted(machine, lab)), *ODD)
        yield from look_at((("a restart provisions nothing", lambda: _restart(machine)),), *ODD)
        yield from look_at(_with(Booted(machine, lab), *AFTER_RESTART), *ODD)
        machine.switch_off()
        yield from look_at((("the password is nowhere", lambda: _secret(machine, lab)),), *ODD)


ODD = (MachineFailed, AssertionError)
AFTER_RESTART = (
    "the service is active and ready",
    "ssh with the key works, and nothing else",
    "the name is set",
    "no request broke the protocol",
    "nothing bad in log and journal",
)


def _with(booted: Booted, *names: str) -> tuple[Look, ...]:
    def bind(what: str, see: Callable[[Booted], tuple[bool, str]]) -> Look:
        name = f"restarted: {what}" if names else what
        return name, lambda: see(booted)

    return tuple(bind(what, see) for what, see in LOOKS if not names or what in names)


def _boot(machine: Machine) -> tuple[bool, str]:
    started = machine.hardware.started
    fabric = machine.fabric
    fabric.await_ready(PATIENCE_S)
    ready = next(e.time for e in fabric.journal.entries() if b"<State>Ready</State>" in e.body)
    fabric.await_extension(ECHO, seq_no=0, within_s=PATIENCE_S)
    done = fabric.journal.entries()[-1].time
    fabric.await_(lambda: _told(machine, "Install"), PATIENCE_S, "telemetry of the installation")
    machine.await_up()
    text = f"Ready {ready - started:.1f} s after power on, the extension {done - started:.1f} s"
    return True, text


def _told(machine: Machine, operation: str) -> bool:
    events = list(machine.fabric.world.received.events)
    return any(event["params"].get("Operation") == operation for event in events)


def _restart(machine: Machine) -> tuple[bool, str]:
    keys = machine.must("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub")
    boot_id = machine.read("/proc/sys/kernel/random/boot_id")
    received = machine.fabric.world.received
    reports = len(received.health)
    machine.reboot()
    statuses = len(received.statuses)
    machine.fabric.await_status(since=statuses, within_s=PATIENCE_S)
    calls = machine.read("/var/log/extension-calls.txt").count("== enable")
    again = machine.must("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub")
    wrong = {
        "it is the same boot": machine.read("/proc/sys/kernel/random/boot_id") == boot_id,
        "the host's keys are new": again != keys,
        "health was reported again": len(received.health) != reports,
    }
    seen = [what for what, is_so in wrong.items() if is_so]
    text = ", ".join(seen) or "status arrives; keys and health reports as before"
    return not seen, f"{text}; enable ran {calls} times"


def _secret(machine: Machine, lab: Lab) -> tuple[bool, str]:
    secret = lab.person.password.encode()
    places = machine.disk.holds(secret)
    shown = machine.console.count(lab.person.password)
    sent = sum(secret in entry.body for entry in machine.fabric.journal.entries())
    size = machine.disk.path.stat().st_blocks * 512 / (1 << 20)
    text = f"read {size:.0f} MiB of disk: {places} places; console: {shown}; requests: {sent}"
    return not (places or shown or sent), text
