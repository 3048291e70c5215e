"""An extension whose enable never ends is killed with its children; the next one runs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace

from tests.fabric import ECHO
from tests.fabric.emulator import handler_items
from tests.fabric.model import Extension, Settings
from tests.support.findings import Finding, look_at
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.qemu import MachineFailed

PATIENCE_S = 180.0
ODD = (MachineFailed, AssertionError)
HANGING, NEXT = "Fabric.Test.Hanging", "Fabric.Test.Next"
ENABLE_LIMIT_S = 300
SLEEPS = "86399"
TIMED_OUT = 1011


def play(lab: Lab) -> Iterator[Finding]:
    """Five minutes of a command that hangs, and what is left of it."""
    with lab.machine(lab.person.media(hostname=lab.media_hostname)) as machine:
        story = Story(machine)
        looks = (
            ("the machine boots and gets Ready", story.boots),
            ("the command and its child run", story.hangs),
            ("after five minutes it is told as timed out", story.times_out),
            ("the command and its child are gone", story.is_gone),
            ("the next extension ran", story.goes_on),
        )
        yield from look_at(looks, *ODD)
        machine.switch_off()


class Story:
    """The steps on one machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.began = 0.0

    def boots(self) -> tuple[bool, str]:
        """The first extension of the machine has succeeded."""
        self.machine.fabric.await_ready(PATIENCE_S)
        self.machine.fabric.await_extension(ECHO, seq_no=0, within_s=PATIENCE_S)
        return True, f"{ECHO} succeeded"

    def hangs(self) -> tuple[bool, str]:
        """The handler's shell waits for a child that sleeps for a day."""
        hang = Settings(0, {"echo": "never", "pause": int(SLEEPS)})
        both = (
            Extension(HANGING, settings=(hang,)),
            Extension(NEXT, settings=(Settings(0, {"echo": "next"}),)),
        )
        self.began = time.monotonic()
        self.machine.fabric.portal.set_goal(
            lambda goal: replace(goal, extensions=(*goal.extensions, *both))
        )
        self.machine.fabric.await_(self.running, PATIENCE_S, "the command that hangs")
        return True, "; ".join(self.running())

    def times_out(self) -> tuple[bool, str]:
        """The status blob has the code of a time-out, after as long as enable may take."""
        document = self.machine.fabric.await_status(
            lambda one: any(i["status"] == "NotReady" for i in handler_items(one, HANGING)),
            within_s=ENABLE_LIMIT_S + PATIENCE_S,
        )
        took = time.monotonic() - self.began
        item = handler_items(document, HANGING)[0]
        good = item["code"] == TIMED_OUT and took > ENABLE_LIMIT_S
        message = item["formattedMessage"]["message"]
        return (
            good and "Timeout(300)" in message,
            f"code {item['code']}, {took:.0f} s after it was wanted",
        )

    def is_gone(self) -> tuple[bool, str]:
        """Neither the shell nor its child is there."""
        left = self.running()
        return not left, "; ".join(left) or "nothing is left"

    def goes_on(self) -> tuple[bool, str]:
        """The one after it was not held for ever."""
        item = self.machine.fabric.await_extension(NEXT, seq_no=0, within_s=PATIENCE_S)
        return item["status"] == "Ready", f"{NEXT}: {item['status']}"

    def running(self) -> list[str]:
        """The command that hangs, as processes."""
        text = self.machine.must("ps", "-eo", "args=")
        wanted = re.compile(rf"{re.escape(HANGING)}.*handler\.sh enable|sleep {SLEEPS}")
        return [line for line in text.splitlines() if wanted.search(line)]
