"""The faults as data: what is done to the machine, what happens, what the fabric hears."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Optional

READY = "Ready"
AGAIN = "Ready, with all that was asked"
AS_IT_WAS = "nothing is left to do"


class How(enum.Enum):
    """What a command does instead of its work; the value completes a sentence."""

    FAILS = "ends with 1"
    HANGS = "does not end"
    MISSING = "is not there"


@dataclass(frozen=True)
class Outcome:
    """What comes of a fault.

    ``report`` is a part of what the portal shows of a failure; without one the fabric hears Ready.
    ``said`` is a part of a line in the log.
    """

    effect: str
    report: Optional[str] = None
    said: Optional[str] = None

    @property
    def heard(self) -> str:
        """For the table."""
        return READY if self.report is None else f"ProvisioningFailed: … {self.report} …"

    @property
    def afterwards(self) -> str:
        """For the table."""
        return AS_IT_WAS if self.report is None else AGAIN


@dataclass(frozen=True)
class Program:
    """A command of the first boot, and what comes of each fault of it.

    ``real`` is where it lies on Debian, if it is run there; ``limit_s`` ends it when it hangs.
    ``machines`` are those of the tests in process that run it, none where it takes a real network.
    The script that a customer brings (not ``is_ours``) may fail, and provisioning goes on.
    """

    name: str
    real: str
    limit_s: int
    fails: Outcome
    hangs: Outcome
    missing: Outcome
    machines: tuple[str, ...] = ("rhel-9.4", "debian-12")
    is_ours: bool = True

    def outcome(self, how: How) -> Outcome:
        """What comes of it."""
        return {How.FAILS: self.fails, How.HANGS: self.hangs, How.MISSING: self.missing}[how]


@dataclass(frozen=True)
class CommandFault:
    """One row."""

    program: Program
    how: How

    @property
    def name(self) -> str:
        """As in the table."""
        return f"{self.program.name} {self.how.value}"

    @property
    def outcome(self) -> Outcome:
        """What comes of it."""
        return self.program.outcome(self.how)


@dataclass(frozen=True)
class DiskFault:
    """A disk that is full or read-only; ``hurt`` and ``heal`` are shell in the guest.

    ``when`` is the command before which it happens, else it is so at the start; ``before`` is what
    is laid out for it.
    """

    name: str
    hurt: str
    heal: str
    outcome: Outcome
    when: Optional[str] = None
    before: str = "true"


def stops(step: str, report: str) -> Outcome:
    """The failure is reported; media and password wait for the next start."""
    return Outcome(f"{step}; the media is kept", report, report)


def goes_on(effect: str, said: Optional[str] = None) -> Outcome:
    """The machine is set up all the same."""
    return Outcome(effect, None, said)
