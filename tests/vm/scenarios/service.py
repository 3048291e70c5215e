"""What systemd and udev make of our units and rules, and what becomes of a killed agent."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from typing import Callable

from tests.fabric import ECHO
from tests.support.findings import Finding, NotTried, look_at
from tests.vm.lab import Lab
from tests.vm.looks_machine import agent_processes, service_facts
from tests.vm.machine import Machine
from tests.vm.qemu import MachineFailed

PATIENCE_S = 180.0
WATCHDOG_S = 6
STOP_WITHIN_S = 10.0
ODD = (MachineFailed, AssertionError)
LEFT = ("pgrep", "-f", "^sleep 3600")
# A disk of Hyper-V's by name, on a controller that is none of Hyper-V's.
DISK = (
    *("-device", "virtio-scsi-pci,id=scsi"),
    *("-drive", "if=none,id=spare,format=raw,file.driver=null-co,file.size=64M"),
    *("-device", "scsi-hd,drive=spare,vendor=Msft,product=Virtual Disk"),
)


class Story:
    """One machine whose agent is stopped, killed and frozen; each method is a look."""

    def __init__(self, machine: Machine, lab: Lab) -> None:
        self._machine, self._lab = machine, lab
        self._unit = f"{lab.service}.service"
        self._left = ""

    def boots(self) -> tuple[bool, str]:
        """The extension has run, and left a process behind."""
        machine = self._machine
        machine.fabric.await_ready(PATIENCE_S)
        machine.fabric.await_extension(ECHO, seq_no=0, within_s=PATIENCE_S)
        machine.fabric.portal.update_settings(ECHO, public={"echo": "left", "leave": 3600})
        machine.fabric.await_extension(ECHO, seq_no=1, within_s=PATIENCE_S)
        machine.await_up()
        self._left = machine.must(*LEFT).strip()
        return True, f"left behind: {self._left}"

    def is_verified(self) -> tuple[bool, str]:
        """systemd finds no fault in the unit and the slices."""
        units = (self._unit, "azure.slice", "azure-vmextensions.slice")
        done = self._machine.run("systemd-analyze", "verify", "--man=no", *units)
        return done.code == 0 and not done.said, done.said or "systemd-analyze verify says nothing"

    def is_scored(self) -> tuple[bool, str]:
        """The exposure that systemd computes; it runs other people's code as root."""
        text = self._machine.run("systemd-analyze", "security", "--no-pager", self._unit).output
        overall = next((x for x in text.splitlines() if "Overall exposure" in x), "")
        return "Overall exposure" in overall, overall

    def lies_in_its_slice(self) -> tuple[bool, str]:
        """The agent runs in azure.slice."""
        group = self._machine.must(
            "systemctl", "show", self._unit, "-pControlGroup", "--value"
        ).strip()
        return group == f"/azure.slice/{self._unit}", group

    def is_ready_in_time(self) -> tuple[bool, str]:
        """The unit came up after the network was, and before the machine was provisioned."""
        machine = self._machine
        show = ("systemctl", "show", "-pActiveEnterTimestampMonotonic", "--value")
        online = int(machine.must(*show, "network-online.target")) / 1e6
        ready = int(machine.must(*show, self._unit)) / 1e6
        now = float(machine.read("/proc/uptime").split()[0])
        marker = machine.must("stat", "-c", "%Y", "/var/lib/waagent/provisioned")
        provisioned = now - (int(machine.must("date", "+%s")) - int(marker))
        text = f"network {online:.1f} s, ready {ready:.1f} s, provisioned {provisioned:.0f} s"
        return 0 < online < ready < provisioned, text

    def gives_disks_names(self) -> tuple[bool, str]:
        """The product's id is readable; a disk that is not on Hyper-V's bus gets no Azure name."""
        machine = self._machine
        mode = machine.must("stat", "-c", "%a", "/sys/class/dmi/id/product_uuid").strip()
        disk = machine.must("sh", "-c", "ls /sys/class/block | grep ^sd").split()[0]
        tested = machine.run("udevadm", "test", f"/sys/class/block/{disk}")
        read = [r for r in ("66-azure-storage", "99-azure-product") if r in tested.errors]
        links = machine.run("ls", "/dev/disk/azure")
        good = (
            mode == "444" and links.code != 0 and len(read) == 2 and "disk/azure" not in tested.said
        )
        return good, f"product_uuid {mode}; {disk}: no link in /dev/disk/azure; rules read: {read}"

    def has_right_rules(self) -> tuple[bool, str]:
        """udev finds no fault in the rules, where it can look for any (systemd 254 and later)."""
        version = int(self._machine.must("udevadm", "--version"))
        if version < 254:
            raise NotTried(f"udevadm {version} has no verify")
        listed = self._machine.must("dpkg", "-L", "waagent").split()
        rules = [name for name in listed if name.endswith(".rules")]
        done = self._machine.run("udevadm", "verify", *rules)
        return done.code == 0 and len(rules) == 2, done.said

    def stops(self) -> tuple[bool, str]:
        """Stopping ends daemon and child at once, and nothing else."""
        machine = self._machine
        before = machine.must(*LEFT)
        asked = time.monotonic()
        machine.must("systemctl", "stop", self._unit)
        took = time.monotonic() - asked
        running = agent_processes(machine)
        result = service_facts(machine, self._unit)["Result"]
        same = machine.run(*LEFT).output == before
        machine.must("systemctl", "start", self._unit)
        good = not running and took < STOP_WITHIN_S and result == "success" and same
        return (
            good,
            f"{took:.1f} s, {result}; processes: {len(running)}; the left one lives: {same}",
        )

    def survives_a_killed_child(self) -> tuple[bool, str]:
        """The daemon starts a new child."""
        return self._comes_back("-run-exthandlers", "KILL", "0")

    def survives_a_killed_daemon(self) -> tuple[bool, str]:
        """systemd starts a new daemon; the old child goes."""
        return self._comes_back("-daemon", "KILL", "1")

    def survives_a_frozen_daemon(self) -> tuple[bool, str]:
        """The watchdog finds it."""
        folder = f"/run/systemd/system/{self._unit}.d"
        text = f"[Service]\\nWatchdogSec={WATCHDOG_S}\\nTimeoutAbortSec=3\\n"
        self._machine.must(
            "sh", "-c", f"mkdir -p {folder} && printf '{text}' >{folder}/watchdog.conf"
        )
        self._machine.must("systemctl", "daemon-reload")
        self._machine.must("systemctl", "restart", self._unit)
        return self._comes_back("-daemon", "STOP", "1")

    def keeps_what_was_left(self) -> tuple[bool, str]:
        """After all this, the extension's process still runs; each agent's enable left one more."""
        running = self._machine.must(*LEFT).split()
        return self._left in running, f"left behind: {' '.join(running)}"

    def _comes_back(self, which: str, signal: str, restarts: str) -> tuple[bool, str]:
        """Signal one of our processes, and wait until two others work and status arrives."""
        machine = self._machine
        self._await_two(frozenset())
        before = agent_processes(machine)
        pid = next(pid for pid, (_, line) in before.items() if line.endswith(which))
        asked = time.monotonic()
        machine.must("kill", f"-{signal}", str(pid))
        old = frozenset(before) if which == "-daemon" else frozenset({pid})
        after = self._await_two(old)
        took = time.monotonic() - asked
        statuses = len(machine.fabric.world.received.statuses)
        machine.fabric.await_status(since=statuses, within_s=PATIENCE_S)
        counted = service_facts(machine, self._unit)["NRestarts"]
        good = len(after) == 2 and not old & set(after) and counted == restarts
        machine.run("systemctl", "reset-failed", self._unit)
        return good, f"back after {took:.1f} s, restarts by systemd: {counted}; status arrives"

    def _await_two(self, gone: frozenset[int]) -> dict[int, tuple[int, str]]:
        """Wait until daemon and child run and others have ended."""
        limit = time.monotonic() + PATIENCE_S
        while time.monotonic() < limit:
            found = agent_processes(self._machine)
            if len(found) == 2 and not gone & set(found) and _is_pair(found):
                return found
            threading.Event().wait(0.5)
        raise MachineFailed(f"daemon and child are not back after {PATIENCE_S:g} s: {found}")


def _is_pair(found: dict[int, tuple[int, str]]) -> bool:
    words = sorted(re.sub(r".*waagent ", "", line) for _, line in found.values())
    return words == ["-daemon", "-run-exthandlers"]


def play(lab: Lab) -> Iterator[Finding]:
    """A machine with a spare disk."""
    media = lab.person.media(hostname=lab.media_hostname)
    with lab.machine(media, extra=DISK) as machine:
        story = Story(machine, lab)
        looks: tuple[tuple[str, Callable[[], tuple[bool, str]]], ...] = (
            ("the machine boots and its extension runs", story.boots),
            ("systemd finds no fault in the unit", story.is_verified),
            ("systemd's score of its exposure", story.is_scored),
            ("it runs in azure.slice", story.lies_in_its_slice),
            ("ready after the network, before provisioning", story.is_ready_in_time),
            ("udev's rules do what they should", story.gives_disks_names),
            ("udev finds no fault in the rules", story.has_right_rules),
            ("it stops at once, extensions' processes live on", story.stops),
            ("a killed child is replaced", story.survives_a_killed_child),
            ("a killed daemon is replaced", story.survives_a_killed_daemon),
            ("a frozen daemon is found and replaced", story.survives_a_frozen_daemon),
            ("what an extension left still runs", story.keeps_what_was_left),
        )
        yield from look_at(looks, *ODD)
        machine.switch_off()
