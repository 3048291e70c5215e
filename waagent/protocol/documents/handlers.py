"""Handlers and their settings, as the fabric wants them: one shape for both of its documents.

Not what is installed, and not how a document spells it (``extensions.py``, ``vm_settings.py``).
Source: spec EXT 2.1, WIRE 3.7.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Optional, Union

from waagent.core.records import dataclass, field

INVALID_PREFIX = "[ExtensionsConfigError] "  # wire text: it reaches the portal


class RequestedState(str, Enum):
    """What is wanted of a handler or of one extension of it."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    UNINSTALL = "uninstall"
    UNKNOWN = "unknown"  # an empty or unknown word; such a handler is invalid and not executed

    @classmethod
    def of(cls, word: str) -> RequestedState:
        """The state that is spelled exactly so, else ``UNKNOWN``."""
        return cls(word) if word in ("enabled", "disabled", "uninstall") else cls.UNKNOWN


@dataclass(frozen=True)
class Settings:
    """One configuration of a handler; ``name`` is the handler's unless it is multi-config.

    The sequence number is text only where the settings were no JSON: they are still processed,
    with null members, so that a status of that number reaches the platform (WIRE 3.7.4).
    """

    name: str
    sequence_number: Union[int, str]
    state: RequestedState = RequestedState.ENABLED
    dependency_level: int = 0
    public_settings: Any = field(default=None, repr=False, hash=False)
    protected_settings: Optional[str] = field(default=None, repr=False)
    certificate_thumbprint: Optional[str] = None

    @property
    def is_enabled(self) -> bool:
        """Whether the entry itself is wanted enabled."""
        return self.state is RequestedState.ENABLED


@dataclass(frozen=True)
class Handler:
    """One handler of the goal state.

    ``invalid_reason`` not ``None``: it is reported NotReady with this text and not executed.
    """

    name: str
    version: str
    state: RequestedState
    manifest_uris: tuple[str, ...] = ()
    encoded_signature: str = ""
    settings: tuple[Settings, ...] = ()
    invalid_reason: Optional[str] = None
    is_multi_config: bool = False

    @property
    def is_enabled(self) -> bool:
        """Whether the handler is wanted enabled."""
        return self.state is RequestedState.ENABLED

    @property
    def full_name(self) -> str:
        """Name and version, as folders and messages have it."""
        return f"{self.name}-{self.version}"

    @property
    def is_signed(self) -> bool:
        """Whether the package comes with a signature."""
        return bool(self.encoded_signature)

    def sort_key(self, settings: Optional[Settings] = None) -> int:
        """Where one entry comes in the order of execution (spec EXT 2.3).

        Removals get negative keys: they run first, those that others depend on last.
        """
        level = settings.dependency_level if settings is not None else 0
        is_wanted = self.is_enabled and (settings is None or settings.is_enabled)
        return level if is_wanted else -level - 1

    @property
    def handler_sort_key(self) -> int:
        """Where the handler as a whole comes: the smallest level of its entries (WIRE 3.7.5)."""
        level = min((entry.dependency_level for entry in self.settings), default=0)
        return level if self.is_enabled else -level - 1


@dataclass(frozen=True)
class Note:
    """Something to log, and to send as an event of this operation when there is one."""

    message: str
    operation: Optional[str] = None
    handler: str = ""
