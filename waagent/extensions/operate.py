"""One version of a handler at work: each command, with what it changes in states and statuses.

Which commands in which order is said in ``steps.py``. Source: spec EXT 3.6 and 3.10.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Optional

from waagent.core import files
from waagent.core.context import Context
from waagent.core.records import dataclass
from waagent.extensions.codes import EnableFailed, ExtensionError
from waagent.extensions.commandlog import Voice
from waagent.extensions.home import HandlerHome, extension_of
from waagent.extensions.launch import Call, Launcher
from waagent.extensions.manifest import HandlerManifest, read_handler_manifest
from waagent.extensions.package import Downloads
from waagent.extensions.state import (
    Change,
    HandlerState,
    Operation,
    change,
    has_enabled_extension,
    is_extension_enabled,
    read_state,
    restore,
    write_extension_state,
)
from waagent.extensions.stored import StoredStatus, write_stored_status
from waagent.protocol.documents.handlers import Handler, RequestedState, Settings
from waagent.protocol.documents.status import NOT_READY, READY

UNINSTALL_CODE = "AZURE_GUEST_AGENT_UNINSTALL_CMD_EXIT_CODE"


@dataclass(frozen=True)
class Tools:
    """What work on handlers needs."""

    context: Context
    downloads: Downloads
    launcher: Launcher


class Operator:
    """Runs the commands of one version and keeps its files in step with them."""

    def __init__(self, tools: Tools, handler: Handler, home: HandlerHome, voice: Voice) -> None:
        self._tools = tools
        self.handler = handler
        self.home = home
        self.voice = voice
        self.state = read_state(home)

    def manifest(self) -> HandlerManifest:
        """The installed manifest; raises ``ManifestError``."""
        return read_handler_manifest(self.home)

    def change(self, what: Change) -> None:
        """Note what happened; which state that makes is said by what we did, not by the disk."""
        self.state = change(self.home, what, self.state)

    def install(self, settings: Optional[Settings], uninstall_code: str) -> None:
        """Install; the handler is then installed and not ready."""
        self._run(Operation.INSTALL, settings, {UNINSTALL_CODE: uninstall_code})
        self.change(Change.INSTALLED)
        self.say(StoredStatus(NOT_READY, 0, "Plugin installed but not enabled"))

    def enable(self, settings: Optional[Settings], uninstall_code: str) -> None:
        """Enable; the handler is then ready. Of one extension among several: ``EnableFailed``."""
        extension = extension_of(self.handler, settings)
        try:
            self._run(Operation.ENABLE, settings, {UNINSTALL_CODE: uninstall_code})
        except ExtensionError as error:
            if extension is None:
                raise
            raise EnableFailed(error.for_fabric()) from error
        if extension is not None:
            write_extension_state(self.home, extension, enabled=True)
        self.change(Change.ENABLED)
        self.say(StoredStatus(READY, 0, "Plugin enabled"))

    def disable(self, settings: Optional[Settings]) -> None:
        """Disable; with no extension left enabled the handler is then installed and not ready."""
        self._run(Operation.DISABLE, settings, {})
        extension = extension_of(self.handler, settings)
        if extension is not None and settings is not None:
            if settings.state is RequestedState.DISABLED:
                _forget_extension(self.home, extension)
            else:
                write_extension_state(self.home, extension, enabled=False)
        if extension is None or not has_enabled_extension(self.home):
            self._note_disabled()

    def settle(self, unwanted: Optional[Settings] = None) -> None:
        """Finish what a kill may have left after the last extension was disabled."""
        extension = extension_of(self.handler, unwanted)
        if extension is not None:
            _forget_extension(self.home, extension)
        if self.state is HandlerState.ENABLED and not has_enabled_extension(self.home):
            self._note_disabled()

    def update(self, settings: Optional[Settings], extra: Mapping[str, str]) -> None:
        """Run the update command; when it fails, this version counts as a failed upgrade."""
        try:
            self._run(Operation.UPDATE, settings, extra)
        except ExtensionError:
            self.change(Change.UPDATE_FAILED)
            raise

    def uninstall(self, settings: Optional[Settings]) -> None:
        """Uninstall; the files stay."""
        self._run(Operation.UNINSTALL, settings, {})

    def enabled_settings(self) -> Iterable[Optional[Settings]]:
        """What has to be disabled before the handler goes (spec EXT 3.10)."""
        if not self.handler.settings:
            return (None,)
        if not self.handler.is_multi_config:
            return self.handler.settings
        return tuple(
            settings
            for settings in self.handler.settings
            if is_extension_enabled(self.home, settings.name)
        )

    def say(self, stored: StoredStatus) -> None:
        """Store what is reported of the handler from now on."""
        write_stored_status(self.home, stored, is_multi_config=self.handler.is_multi_config)

    def _note_disabled(self) -> None:
        """The status first: one that is killed in between disables again, and then says both."""
        self.say(StoredStatus(NOT_READY, 0, "Plugin disabled"))
        self.change(Change.DISABLED)

    def _run(
        self, operation: Operation, settings: Optional[Settings], extra: Mapping[str, str]
    ) -> None:
        line = self.manifest().command(operation)
        call = Call(self.home, operation, line, self.handler, settings, extra=extra)
        try:
            self._tools.launcher.run(call, self.voice)
        finally:
            restore(self.home, self.state)


def _forget_extension(home: HandlerHome, extension: str) -> None:
    """Remove the files of an extension that is no longer wanted."""
    for folder, suffix in ((home.config, ".settings"), (home.status, ".status")):
        for path in folder.glob(f"*{suffix}"):
            if path.name[: -len(suffix)].rpartition(".")[0] == extension:
                files.remove(path)
    files.remove(home.extension_state(extension))
