"""The fabric's certificates, opened in a process of their own, which is gone with what it needed.

It is the agent with a command of its own, and no fork: a process with threads cannot safely be
forked (ARCHITECTURE.md). It reads the transport key from its file; the keys that it finds come
back through a pipe, which nobody else can read.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Callable, Optional

from waagent.core import files
from waagent.core.errors import AgentError, CommandTimedOut, CryptoError, describe
from waagent.protocol.bundle import Bundle, Opener, parse_bundle, render_bundle, render_failure

if TYPE_CHECKING:
    from waagent.core.commands import Begun, Result
    from waagent.core.system import System

STAND_BY_WITHIN_S = 60.0
"""A process that nothing is read to ends by itself: it has the memory of a second child."""

OPEN_WITHIN_S = 120.0
"""A slow machine takes seconds; the most that a hostile file may ask for takes a minute there."""

LONGEST_REASON = 200
GAVE_UP = -signal.SIGALRM


def open_in_process(private_key: Path) -> Opener:
    """Opens here: for a process that has not long to live."""

    def open_here(data: bytes) -> Bundle:
        from waagent.protocol.envelope import open_certificates

        return open_certificates(data, files.read(private_key))

    return open_here


class OpenerBeside:
    """Opens by that command, whose main is ``serve``: an ``Opener``."""

    def __init__(self, system: System, command: tuple[str, ...]) -> None:
        self._system = system
        self._command = command
        self._standing_by: Optional[Begun] = None
        self._since = 0.0

    def stand_by(self) -> None:
        """Start the process that will be needed soon: it imports its packages while we do ours."""
        now = self._system.clock.monotonic()
        if now - self._since > STAND_BY_WITHIN_S / 2:
            self.dismiss()  # it would end, or has ended, before we need it
        if self._standing_by is None:
            self._standing_by, self._since = self._system.begin(*self._command), now

    def dismiss(self) -> None:
        """End a process that stands by."""
        if self._standing_by is not None:
            self._standing_by.cancel()
            self._standing_by = None

    def __call__(self, data: bytes) -> Bundle:
        """See ``Opener``."""
        return parse_bundle(answer_of("the certificates", lambda: self._finish(data)))

    def _finish(self, data: bytes) -> Result:
        process, self._standing_by = self._standing_by, None
        if process is not None:
            result = process.finish(data, timeout_s=OPEN_WITHIN_S)
            if result.code != GAVE_UP:
                return result
        return self._system.begin(*self._command).finish(data, timeout_s=OPEN_WITHIN_S)


def answer_of(what: str, finish: Callable[[], Result]) -> str:
    """What a process that opens something wrote; raises ``CryptoError`` if it came to no end.

    Never with its output, which may hold what it has opened.
    """
    try:
        result = finish()
    except CommandTimedOut:
        raise CryptoError(f"cannot open {what}: that took over {OPEN_WITHIN_S:g} s") from None
    if not result.ok:
        why = " ".join(result.stderr.split())[-LONGEST_REASON:]
        raise CryptoError(f"cannot open {what}: the helper ended with {result.code} ({why})")
    return result.stdout


def serve(
    private_key: Path,
    stdin: BinaryIO,
    stdout: BinaryIO,
    *,
    stand_by_s: float = STAND_BY_WITHIN_S,
) -> int:
    """Open what comes on standard input; the outcome, also a failure, goes to standard output."""
    signal.setitimer(signal.ITIMER_REAL, stand_by_s)
    from waagent.protocol.envelope import MAX_BYTES, open_certificates

    try:
        # Whoever started us may have nothing for us yet; what we need is imported by now.
        data = stdin.read(MAX_BYTES + 1)
        signal.setitimer(signal.ITIMER_REAL, 0)
        outcome = render_bundle(open_certificates(data, files.read(private_key)))
    except (AgentError, OSError) as error:
        outcome = render_failure(describe(error))
    except Exception as error:  # noqa: BLE001 - its words may repeat what was decrypted
        outcome = render_failure(f"cannot open the certificates: {type(error).__name__}")
    stdout.write(outcome)
    stdout.flush()
    return 0
