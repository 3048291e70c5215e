"""What a failed item is reported as: message, code and operation (spec EXT 2.6)."""

from __future__ import annotations

from typing import Optional

from waagent.core.errors import for_fabric, remedy_of
from waagent.core.events import Op
from waagent.core.records import dataclass
from waagent.extensions.codes import (
    EnableFailed,
    ExtensionCode,
    ExtensionError,
    GoalStateFault,
    PackageError,
    UpdateFailed,
)


@dataclass(frozen=True)
class Failure:
    """``op`` is ``None`` when the event was sent before; ``is_of_handler`` unless one of several
    extensions failed, which leaves the handler's own status as it is.
    """

    message: str
    code: int = int(ExtensionCode.UNKNOWN)
    op: Optional[Op] = Op.EXTENSION_PROCESSING
    is_of_handler: bool = True


def failure_of(error: Exception, op: Optional[Op], item_name: str) -> Failure:
    """How the service is told of an error that came up during an operation (pure)."""
    text = for_fabric(error) + remedy_of(error)
    op = op or Op.EXTENSION_PROCESSING
    if isinstance(error, EnableFailed):
        message = f"Error processing MultiConfig extension {item_name}: {text}"
        return Failure(message, op=Op.ENABLE, is_of_handler=False)
    if isinstance(error, GoalStateFault):
        message = (
            f"Ran into config errors: {text}. \n"
            "Please retry again as another operation with updated settings"
        )
        return Failure(message, op=Op.INVALID_EXTENSION_CONFIG)
    if isinstance(error, UpdateFailed):
        return Failure(text, error.code, op=None)
    if isinstance(error, PackageError):
        message = f"Failed to download artifacts: {text}"
        return Failure(message, error.code, Op.DOWNLOAD)
    code = error.code if isinstance(error, ExtensionError) else int(ExtensionCode.UNKNOWN)
    return Failure(text, code, op)
