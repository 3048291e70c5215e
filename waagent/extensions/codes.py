"""The error codes that the service understands, and the errors that carry them.

The labels are wire text: the portal shows them in brackets. Source: spec EXT 0.4 and 3.9.
"""

from __future__ import annotations

import enum
from typing import Optional

from waagent.core.errors import AgentError


class ExtensionCode(enum.IntEnum):
    """What a handler or extension record says besides its message."""

    UNKNOWN = -1
    SUCCESS = 0
    PROCESSING_FAILED = 1000
    DOWNLOAD_FAILED = 1001
    MANIFEST_UNREADABLE = 1002
    MANIFEST_INVALID = 1003
    INSTALL_FAILED = 1007
    UPDATE_FAILED = 1008
    ENABLE_FAILED = 1009
    DISABLE_FAILED = 1010
    COMMAND_TIMED_OUT = 1011
    STATUS_INVALID = 1012


class ExtensionError(AgentError):
    """Something about one handler failed, and the service is told so with this code."""

    label = "ExtensionError"

    def __init__(self, message: str, code: int = ExtensionCode.UNKNOWN) -> None:
        super().__init__(message)
        self.code = int(code)


class ManifestError(ExtensionError):
    """HandlerManifest.json cannot be read or understood."""


class PackageError(ExtensionError):
    """A package cannot be had or unpacked, or what is in it cannot be used."""

    label = "ExtensionDownloadError"


class GoalStateFault(ExtensionError):
    """The goal state asks for something that cannot be; another one has to come."""

    label = "ExtensionsGoalStateError"


class HandlerCommandFailed(ExtensionError):
    """A handler's command ended with another code than zero."""

    label = "ExtensionOperationError"

    def __init__(self, message: str, code: int, exit_code: int) -> None:
        super().__init__(message, code)
        self.exit_code = exit_code


class UpdateFailed(ExtensionError):
    """A command of the old version failed and the new version does not go on in spite of it."""

    label = "ExtensionUpdateError"

    def __init__(self, message: str) -> None:
        super().__init__(message, ExtensionCode.UPDATE_FAILED)


class EnableFailed(ExtensionError):
    """One extension of a multi-config handler could not be enabled."""

    label = "MultiConfigExtensionEnableError"


class StatusFault(ExtensionError):
    """An extension's status file cannot be used."""

    label = "ExtensionStatusError"


class Interrupted(Exception):
    """We were asked to stop in the middle of something that the next start does again."""


def exit_code_of(error: ExtensionError) -> str:
    """What a later command of an update is told of a failed one (spec EXT 3.10)."""
    code: Optional[int] = getattr(error, "exit_code", None)
    return str(error.code if code is None else code)
