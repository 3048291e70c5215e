"""States of a handler, how they change, and the words on disk (spec EXT 3.6).

Only this module writes a handler's state. What a crash leaves of the file, empty or cut short,
reads as not installed: the handler is then unpacked and installed again.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Optional

from waagent.core import files
from waagent.core.errors import GuestError
from waagent.core.version import Version
from waagent.extensions.codes import ExtensionError
from waagent.extensions.home import HandlerHome

log = logging.getLogger(__name__)

ENABLED_WORD = "enabled"
DISABLED_WORD = "disabled"
_LONGEST = 4096


class HandlerState(enum.Enum):
    """The values are the words in ``config/HandlerState``."""

    NOT_INSTALLED = "NotInstalled"
    INSTALLED = "Installed"
    ENABLED = "Enabled"
    FAILED_UPGRADE = "FailedUpgrade"


class Operation(enum.Enum):
    """A command of a handler."""

    INSTALL = "install"
    ENABLE = "enable"
    DISABLE = "disable"
    UPDATE = "update"
    UNINSTALL = "uninstall"


class Change(enum.Enum):
    """Something that happened to a handler and may change its state."""

    UNPACKING = "unpacking"
    INSTALLED = "installed"
    UPDATED = "updated"
    ENABLED = "enabled"
    DISABLED = "disabled"
    UPDATE_FAILED = "a failed update"


_S = HandlerState
TRANSITIONS: Mapping[HandlerState, Mapping[Change, HandlerState]] = {
    _S.NOT_INSTALLED: {
        Change.UNPACKING: _S.NOT_INSTALLED,
        Change.INSTALLED: _S.INSTALLED,
        Change.UPDATED: _S.INSTALLED,
        Change.UPDATE_FAILED: _S.FAILED_UPGRADE,
    },
    _S.INSTALLED: {
        Change.ENABLED: _S.ENABLED,
        Change.DISABLED: _S.INSTALLED,
        Change.UPDATE_FAILED: _S.FAILED_UPGRADE,
    },
    _S.ENABLED: {
        Change.ENABLED: _S.ENABLED,
        Change.DISABLED: _S.INSTALLED,
        Change.UPDATE_FAILED: _S.FAILED_UPGRADE,
    },
    _S.FAILED_UPGRADE: {Change.UNPACKING: _S.NOT_INSTALLED},
}
"""What each change makes of each state; a change that is not here cannot happen."""

PRESENT = (HandlerState.INSTALLED, HandlerState.ENABLED)


def read_state(home: HandlerHome) -> HandlerState:
    """The state on disk; a missing or damaged file is ``NOT_INSTALLED``."""
    word = _read_word(home.state)
    if word is None:
        return HandlerState.NOT_INSTALLED
    try:
        return HandlerState(word)
    except ValueError:
        log.warning('The state of %s is unreadable ("%.40s"): not installed', home.full_name, word)
        return HandlerState.NOT_INSTALLED


def change(home: HandlerHome, what: Change, before: Optional[HandlerState] = None) -> HandlerState:
    """Write the state that follows; a change that cannot follow is an ``ExtensionError``.

    ``before`` is for whoever knows better than the disk: a handler's own command may have copied
    all of another version's ``config``, or removed its own.
    """
    if before is None:
        before = read_state(home)
    after = TRANSITIONS[before].get(what)
    if after is None:
        raise ExtensionError(
            f'cannot note "{what.value}" of {home.full_name}: its state is {before.value};'
            f" remove {home.folder} to have it installed again"
        )
    _write(home, after)
    return after


def restore(home: HandlerHome, state: HandlerState) -> None:
    """Write the state again where a handler's own command has made another of the file."""
    if home.folder.is_dir() and read_state(home) is not state:
        log.warning("A command of %s changed its state: %s again", home.full_name, state.value)
        _write(home, state)


def _write(home: HandlerHome, state: HandlerState) -> None:
    files.ensure_directory(home.config, mode=0o700)
    files.ensure_content(home.state, state.value)


def is_extension_enabled(home: HandlerHome, extension: str) -> bool:
    """Whether an extension of a multi-config handler was enabled and not disabled since."""
    return _read_word(home.extension_state(extension)) == ENABLED_WORD


def write_extension_state(home: HandlerHome, extension: str, *, enabled: bool) -> None:
    """Note that an extension of a multi-config handler was enabled, or disabled."""
    files.ensure_directory(home.config, mode=0o700)
    word = ENABLED_WORD if enabled else DISABLED_WORD
    files.ensure_content(home.extension_state(extension), word)


def has_enabled_extension(home: HandlerHome) -> bool:
    """Whether any extension of a multi-config handler is enabled."""
    return any(_read_word(path) == ENABLED_WORD for path in home.config.glob("*.HandlerState"))


def find_installed(homes: Iterable[HandlerHome]) -> Optional[HandlerHome]:
    """The highest version that is installed or enabled (spec EXT 3.2)."""
    present = [home for home in homes if read_state(home) in PRESENT]
    return max(present, key=lambda home: Version(home.version), default=None)


def _read_word(path: Path) -> Optional[str]:
    try:
        text = files.read_if_there(path, limit=_LONGEST)
    except GuestError:
        return ""
    return None if text is None else text.strip()
