"""A runner that answers the commands a test declared, and fails the test for any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Callable, Optional, Union

import pytest

from waagent.core.commands import CANNOT_START, Begun, Child, Result, Spawn
from waagent.core.errors import CommandTimedOut

Argv = tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """How a declared command ends. ``do`` is its effect: called with argv and standard input."""

    code: int = 0
    stdout: str = ""
    stderr: str = ""
    do: Optional[Callable[[Argv, bytes], None]] = None
    times_out: bool = False


Answers = Union[Answer, Sequence[Answer]]


def ok(stdout: str = "", *, do: Optional[Callable[[Argv, bytes], None]] = None) -> Answer:
    """The command succeeds."""
    return Answer(stdout=stdout, do=do)


def fails(code: int = 1, stderr: str = "", *, stdout: str = "") -> Answer:
    """The command ends with a code."""
    return Answer(code=code, stdout=stdout, stderr=stderr)


def missing() -> Answer:
    """There is no such program."""
    return Answer(code=CANNOT_START, stderr="[Errno 2] No such file or directory")


def times_out(stdout: str = "") -> Answer:
    """The command does not end in time; what it had printed until then."""
    return Answer(times_out=True, stdout=stdout)


@dataclass
class Ran:
    """A command that was run."""

    argv: Argv
    stdin: Optional[bytes]
    timeout_s: float


@dataclass
class ScriptedRunner:
    """Answers by the longest declared prefix of the command line.

    Several answers are given one after the other; one more call than answers fails the test.
    """

    answers: Mapping[Argv, Answers]
    calls: list[Ran] = field(default_factory=list)
    _given: dict[Argv, int] = field(default_factory=dict)

    def run(self, argv: Argv, *, stdin: Optional[bytes], timeout_s: float) -> Result:
        """See ``waagent.core.commands.Runner``."""
        self.calls.append(Ran(argv, stdin, timeout_s))
        answer = self._answer(argv)
        if answer.times_out:
            raise CommandTimedOut(argv, timeout_s, answer.stdout)
        if answer.do is not None:
            answer.do(argv, stdin or b"")
        return Result(argv, answer.code, answer.stdout, answer.stderr)

    def begin(self, argv: Argv) -> Begun:
        """See ``waagent.core.commands.Runner``; it counts as run when it is finished."""
        return _Begun(self, argv)

    def start(self, spawn: Spawn) -> Child:
        """No test machine starts children: who needs them has a runner of their own."""
        raise pytest.fail.Exception(f"a child was started that nobody declared: {spawn.argv}")

    @property
    def ran(self) -> list[Argv]:
        """The command lines, in order."""
        return [call.argv for call in self.calls]

    def _answer(self, argv: Argv) -> Answer:
        prefixes = (argv[:length] for length in range(len(argv), 0, -1))
        declared = next((prefix for prefix in prefixes if prefix in self.answers), None)
        if declared is None:
            # Not an Exception: code that isolates errors must not be able to hide it.
            raise pytest.fail.Exception(f"a command was run that nobody declared: {argv}")
        answers = self.answers[declared]
        if isinstance(answers, Answer):
            return answers
        given = self._given.get(declared, 0)
        if given >= len(answers):
            raise pytest.fail.Exception(f"{argv} was run {given + 1} times, declared {given}")
        self._given[declared] = given + 1
        return answers[given]


@dataclass(frozen=True)
class _Begun:
    runner: ScriptedRunner
    argv: Argv

    def finish(self, stdin: bytes, *, timeout_s: float) -> Result:
        return self.runner.run(self.argv, stdin=stdin, timeout_s=timeout_s)

    def cancel(self) -> None:
        """Nothing was started."""
