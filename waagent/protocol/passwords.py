"""Passwords of just-in-time users, opened in a process of their own as certificates are.

That process reads the transport key from its file; passwords come back through a pipe. None is
ever in a file, a log line or an argument. Source: spec WIRE 5.9; the process: ``opener.py``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Callable, Union

from waagent.core import files
from waagent.core.errors import AgentError, CryptoError, describe
from waagent.protocol.opener import OPEN_WITHIN_S, answer_of

if TYPE_CHECKING:
    from waagent.core.commands import Result
    from waagent.core.system import System

Opened = Union[str, CryptoError]
PasswordOpener = Callable[[Sequence[str]], tuple[Opened, ...]]
"""Opens what the fabric sealed: for each a password, or why there is none. Raises ``CryptoError``,
or ``OSError`` when the transport key cannot be read: then there is none for anybody."""

LARGEST_REQUEST = 4 * 1024 * 1024


def open_passwords_in_process(private_key: Path) -> PasswordOpener:
    """Opens here: for a process that has not long to live."""

    def open_here(sealed: Sequence[str]) -> tuple[Opened, ...]:
        from waagent.protocol.envelope import open_password

        key = files.read(private_key)
        opened: list[Opened] = []
        for each in sealed:
            try:
                opened.append(open_password(each, key))
            except CryptoError as error:  # one password's; the others may be good
                opened.append(error)
        return tuple(opened)

    return open_here


class PasswordsBeside:
    """Opens by that command, whose main is ``serve_passwords``: a ``PasswordOpener``."""

    def __init__(self, system: System, command: tuple[str, ...]) -> None:
        self._system = system
        self._command = command

    def __call__(self, sealed: Sequence[str]) -> tuple[Opened, ...]:
        """See ``PasswordOpener``."""
        request = json.dumps(list(sealed)).encode("ascii")

        def finish() -> Result:
            return self._system.run(*self._command, stdin=request, timeout_s=OPEN_WITHIN_S)

        return _parse_answer(answer_of("the passwords", finish), len(sealed))


def serve_passwords(private_key: Path, stdin: BinaryIO, stdout: BinaryIO) -> int:
    """Open what comes on standard input; the outcome, also a failure, goes to standard output."""
    answer: Any
    try:
        sealed = json.loads(stdin.read(LARGEST_REQUEST))
        answer = [_member(each) for each in open_passwords_in_process(private_key)(sealed)]
    except (AgentError, OSError) as error:
        answer = {"failure": describe(error)}
    except Exception as error:  # noqa: BLE001 - its words may repeat what was decrypted
        answer = {"failure": f"cannot open the passwords: {type(error).__name__}"}
    stdout.write(json.dumps(answer).encode("ascii"))
    stdout.flush()
    return 0


def _member(opened: Opened) -> dict[str, str]:
    if isinstance(opened, CryptoError):
        return {"failure": opened.message}
    return {"password": opened}


def _parse_answer(text: str, wanted: int) -> tuple[Opened, ...]:
    """What ``serve_passwords`` wrote; ``CryptoError`` for a failure, or for anything else."""
    try:
        document: Any = json.loads(text)
        if isinstance(document, dict):
            raise CryptoError(str(document["failure"]))
        opened = tuple(
            CryptoError(str(each["failure"])) if "failure" in each else str(each["password"])
            for each in document
        )
    except (ValueError, TypeError, LookupError, RecursionError):
        raise CryptoError("cannot read what came of opening the passwords") from None
    if len(opened) != wanted:
        raise CryptoError("cannot read what came of opening the passwords")
    return opened
