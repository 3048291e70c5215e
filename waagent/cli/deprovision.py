"""``-deprovision[+user] [-force] [-dry-run]``: the person or script at the other end.

It writes no log file: the old one is deleted, and a new one would be in the image. Source: spec
DAEMON 8.1, CLI 1.5.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType
from typing import Callable, Optional

from waagent.cli.arguments import Command, Options
from waagent.core.context import Context
from waagent.core.errors import AgentError
from waagent.guest.profile import Profile
from waagent.provisioning.deprovision import Wish, deprovision

# Somebody who presses ^C, and a connection that is lost: over ssh it may be that of the account
# that is deleted.
INTERRUPTIONS = (signal.SIGINT, signal.SIGHUP)
STDOUT = 1
LONGEST_ANSWER = 4096


class TerminalAtHand:
    """Standard input and output, unbuffered: a reader that has left must not end what is done."""

    def say(self, line: str) -> None:
        """Show a line at once, if anybody is there to see it."""
        shown = "".join(char if char.isprintable() else "?" for char in line)
        _write(f"{shown}\n")

    def ask(self, question: str) -> Optional[str]:
        """The answer from standard input; ``None`` at its end."""
        _write(question)
        try:
            line = sys.stdin.buffer.readline(LONGEST_ANSWER)
        except (OSError, ValueError, AttributeError):  # a terminal that is gone, no input at all
            return None
        return line.decode("utf-8", "replace").strip() if line else None

    def commit(self) -> None:
        """Refuse to be interrupted from now on."""
        _handle_interruptions(_refuse)


def run(context: Context, profile: Profile, options: Options) -> int:
    """Do what was asked for; the exit code. Needs root, for a look as well."""
    if os.geteuid() != 0:
        raise AgentError("cannot deprovision: only root can; run it with sudo")
    wish = Wish(
        with_user=options.command is Command.DEPROVISION_USER,
        force=options.force,
        dry_run=options.dry_run,
    )
    # Interrupted before the first step, all is as it was.
    _handle_interruptions(signal.default_int_handler)
    try:
        return deprovision(context, profile, wish, TerminalAtHand())
    except KeyboardInterrupt:
        _write("Deprovision is interrupted.\n")
        return 0


def _handle_interruptions(handler: Callable[[int, Optional[FrameType]], None]) -> None:
    """Those that whoever started us ignores (nohup) stay ignored."""
    for number in INTERRUPTIONS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _refuse(_number: int, _frame: Optional[FrameType]) -> None:
    _write("Deprovisioning may not be interrupted.\n")


def _write(text: str) -> None:
    data = text.encode("utf-8", "backslashreplace")
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(STDOUT, data) :]
