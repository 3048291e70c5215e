"""useradd, chpasswd and userdel killed within, at one system call after the other.

It needs strace, and is no part of `make check`: `python -m tests.integration.remoteaccess` runs it
on a copy of this machine, and says at how many places each was killed.
"""

from __future__ import annotations

from typing import Optional

import pytest

from tests.integration.remoteaccess.lender import Lender, check_gone, check_whole
from waagent.core.commands import Begun, Child, Result, Runner, Spawn
from waagent.core.system import real_system

CALLS = ("rename", "openat", "mkdir", "fchown", "unlink", "unlinkat", "fsync", "chmod")
MOST = 60


class PowerFailure(BaseException):
    """Program and agent are gone at once."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.was_killed = code < 0 or code > 128


class Cutting:
    """Kills the program at the n-th system call of a kind, and the agent with it."""

    def __init__(self, inner: Runner, program: str, call: str, number: int) -> None:
        self._inner = inner
        self._program = program
        self._inject = f"inject={call}:signal=KILL:when={number}"

    def run(self, argv: tuple[str, ...], *, stdin: Optional[bytes], timeout_s: float) -> Result:
        """See ``Runner.run``."""
        if argv[0] != self._program:
            return self._inner.run(argv, stdin=stdin, timeout_s=timeout_s)
        watched = ("strace", "-f", "-o", "/dev/null", "-e", self._inject, *argv)
        raise PowerFailure(self._inner.run(watched, stdin=stdin, timeout_s=timeout_s).code)

    def begin(self, argv: tuple[str, ...]) -> Begun:
        """See ``Runner.begin``."""
        return self._inner.begin(argv)

    def start(self, spawn: Spawn) -> Child:
        """See ``Runner.start``."""
        return self._inner.start(spawn)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("program", ["useradd", "chpasswd", "userdel"])
def test_program_that_is_killed_at_a_call_is_made_up_for(
    lender: Lender, program: str, call: str
) -> None:
    wanted = None if program == "userdel" else lender.grant("jit")
    for number in range(1, MOST + 1):
        lender.start().apply(lender.grant("jit") if wanted is None else None)
        with pytest.raises(PowerFailure) as raised:
            lender.start(Cutting(real_system().runner, program, call, number)).apply(wanted)
        lender.start().apply(wanted)
        if wanted is None:
            check_gone("jit")
        else:
            check_whole("jit")
        if not raised.value.was_killed:
            break
    print(f"{program} killed at {number - 1} calls of {call}")
