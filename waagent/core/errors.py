"""The agent's errors, grouped by who has to act (ARCHITECTURE.md, errors).

A class exists only where a caller treats it differently. Classes that belong to a higher floor
live there and derive from these.
"""

from __future__ import annotations

import errno
from typing import Optional

MOST_CAUSES = 16
MAX_SHOWN = 4096  # of a command's output in a message: enough to see why, short enough for a log
_REMEDIES = {
    errno.ENOSPC: "; free some space on that file system",
    errno.EDQUOT: "; raise the quota, or free some space",
    errno.EROFS: "; see what the kernel says of that disk, and mount it writable",
    errno.EIO: "; see what the kernel says of that disk",
}


class AgentError(Exception):
    """Something the agent could not do: ``cannot ...``, with the facts that explain it.

    ``label`` is wire text: the class word that the fabric and the portal show in brackets for
    this kind of failure (spec DAEMON 0.4). It is not the name of our class.
    """

    label = "AgentError"

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __str__(self) -> str:
        return self.message

    def for_fabric(self) -> str:
        """The text that goes into health reports and status: ``[Label] message``."""
        return f"[{self.label}] {self.message}"


class ConfError(AgentError):
    """waagent.conf cannot be used; the operator has to act."""

    label = "AgentConfigError"


class CommandFailed(AgentError):
    """A command ended with a code other than zero, or could not be started (code -1).

    What it holds is redacted; the message shows the end of a long output.
    """

    label = "OSUtilError"

    def __init__(self, argv: tuple[str, ...], code: int, output: str) -> None:
        from waagent.core.redact import redact  # whose patterns a quick command need not prepare

        self.argv = tuple(redact(word) for word in argv)
        self.code = code
        self.output = redact(output)
        super().__init__(f"'{' '.join(self.argv)}' failed: {code} ({_end_of(self.output)})")


class CommandTimedOut(CommandFailed):
    """A command did not end within its time and was killed; ``output`` is what it had printed."""

    def __init__(self, argv: tuple[str, ...], timeout_s: float, output: str) -> None:
        super().__init__(argv, -1, output)
        said = _end_of(self.output)
        self.message = (
            f"'{' '.join(self.argv)}' did not end within {timeout_s:g} s and was killed"
            + (f" ({said})" if said else "")
        )
        self.timeout_s = timeout_s


class HttpError(AgentError):
    """A request did not give what was asked for; ``url`` carries no query."""

    label = "HttpError"

    def __init__(self, message: str, *, method: str = "", url: str = "") -> None:
        super().__init__(message)
        self.method = method
        self.url = url


class Unreachable(HttpError):
    """No whole answer: refused, reset or timed out, or as ``Garbled``."""


class Garbled(Unreachable):
    """The peer was there, but what it said is no whole answer: cut short, or no HTTP."""


class RequestStopped(Unreachable):
    """The agent was told to stop before there was an answer: nobody is to blame."""


class HttpStatus(HttpError):
    """An answer with a status that is no success for this request."""

    def __init__(
        self, message: str, *, method: str = "", url: str = "", status: int = 0, body: bytes = b""
    ) -> None:
        super().__init__(message, method=method, url=url)
        self.status = status
        self.body = body


class DocumentError(AgentError):
    """A document from the fabric, the media or an extension cannot be read."""

    label = "ProtocolError"


class CryptoError(AgentError):
    """Something encrypted cannot be opened, or a key cannot be read or made."""

    label = "CryptError"


class GuestError(AgentError):
    """The guest's operating system refused something we need."""

    label = "OSUtilError"


class EventDropped(AgentError):
    """A telemetry event cannot be used; ``reason`` is its fixed category."""

    label = "InvalidExtensionEventError"


class Exit(Exception):
    """Leave the process on purpose, with this exit code; not an ``AgentError``."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


def describe(error: BaseException) -> str:
    """One line for a log: the text of one of ours, the class and text of a foreign error.

    What an operator can do about a disk stands at its end.
    """
    if isinstance(error, AgentError):
        return str(error)
    remedy = _REMEDIES.get(error.errno or 0, "") if isinstance(error, OSError) else ""
    return f"{type(error).__name__}: {error}{remedy}"


def is_disk_trouble(error: BaseException) -> bool:
    """Whether a file system took nothing: it is full, read-only or broken."""
    return isinstance(error, OSError) and error.errno in _REMEDIES


def find_disk_trouble(error: BaseException) -> Optional[OSError]:
    """The refusal of a file system that an error came of, however it was translated since."""
    cause: Optional[BaseException] = error
    for _ in range(MOST_CAUSES):  # an error can be its own cause
        if cause is None:
            break
        if isinstance(cause, OSError) and is_disk_trouble(cause):
            return cause
        cause = cause.__cause__
    return None


def remedy_of(error: BaseException) -> str:
    """What an operator can do about the disk that an error came of, to stand at a message's end."""
    trouble = find_disk_trouble(error)
    return "" if trouble is None else _REMEDIES.get(trouble.errno or 0, "")


def for_fabric(error: BaseException, label: Optional[str] = None) -> str:
    """The bracketed text for reports, whatever the error's class (spec DAEMON 0.4)."""
    if isinstance(error, AgentError):
        return f"[{label or error.label}] {error.message}"
    return f"[{label or type(error).__name__}] {error}"


def _end_of(output: str) -> str:
    text = output.rstrip()
    return text if len(text) <= MAX_SHOWN else f"... {text[-MAX_SHOWN:]}"
