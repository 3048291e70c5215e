"""Each request on a handler as a list of steps, and the loop that runs any such list.

What a step does to states and files is in ``operate.py``. After a kill at any point the next run
comes by the same decision to the steps that are left. Source: spec EXT 3.6 and 3.10.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Callable, Optional

from waagent.core.events import Op
from waagent.core.version import Version
from waagent.extensions import package, settings
from waagent.extensions.codes import ExtensionError, UpdateFailed, exit_code_of
from waagent.extensions.home import extension_of
from waagent.extensions.launch import NOT_RUN
from waagent.extensions.operate import Operator, Tools
from waagent.extensions.state import Change, HandlerState, change, is_extension_enabled, read_state
from waagent.protocol.documents.handlers import RequestedState, Settings
from waagent.protocol.documents.manifest import Package


@dataclass(frozen=True)
class Step:
    """One thing to do, and the operation under which its failure is reported."""

    name: str
    op: Optional[Op]
    do: Callable[[], None]


class Way(enum.Enum):
    """How an enabled handler is reached from what is on the disk."""

    INSTALL = "install"
    UPDATE = "update"
    REUSE = "reuse"


def choose_way(state: HandlerState, wanted: str, installed: Optional[str]) -> Way:
    """The way to the wanted version, whose state this is (pure; spec EXT 3.6)."""
    if state in (HandlerState.INSTALLED, HandlerState.ENABLED):
        return Way.REUSE
    if installed is None or Version(installed) == Version(wanted):
        return Way.INSTALL
    return Way.UPDATE


@dataclass
class Work:
    """One item being worked on: the wanted version, its settings, the version it replaces.

    The exit codes are those of the old version's commands, which later commands are told.
    """

    tools: Tools
    new: Operator
    settings: Optional[Settings]
    package: Optional[Package]
    old: Optional[Operator] = None
    uninstall_code: str = NOT_RUN
    disable_codes: dict[str, str] = field(default_factory=dict)
    step: Optional[Step] = None

    def run(self, steps: Sequence[Step]) -> None:
        """Run the steps in order; ``step`` is the one that was begun last."""
        for step in steps:
            self.step = step
            step.do()

    # what the steps do
    def unpack(self) -> None:
        """Get the package into place and make it a handler's home."""
        home, voice = self.new.home, self.new.voice
        if self.package is None:
            raise ExtensionError(f"cannot install {home.full_name}: its manifest has no package")
        change(home, Change.UNPACKING)
        clock = self.tools.context.system.clock
        start = clock.monotonic()
        if package.fetch(self.tools.downloads, home, self.package):
            took_ms = int((clock.monotonic() - start) * 1000)
            voice.report(Op.DOWNLOAD, "Download succeeded", duration_ms=took_ms)
        manifest = package.initialise(home, self.new.handler)
        for note in manifest.notes:
            voice.complain(Op.EXTENSION_HANDLER_MANIFEST, note)

    def check(self) -> None:
        """An installed handler must still be what the goal state takes it for."""
        package.check_multi_config(self.new.handler, self.new.manifest())

    def write_settings(self) -> None:
        """The settings file of this item."""
        settings.write_settings(self.new.home, self.new.handler, self.settings)

    def install(self) -> None:
        """The new version's install command."""
        self.new.install(self.settings, self.uninstall_code)

    def enable(self) -> None:
        """Enable, or disable one extension that is no longer wanted."""
        entry = self.settings
        if entry is None or entry.state is RequestedState.ENABLED:
            self.new.enable(entry, self.uninstall_code)
        elif self._is_stored_enabled(entry):
            try:
                self.new.disable(entry)
            except ExtensionError as error:
                self.new.voice.complain(Op.DISABLE, error.for_fabric())

    def disable_old(self) -> None:
        """The old version's extensions are disabled with the new settings (EXT App. E 3)."""
        old = self._replaced()
        if read_state(old.home) is not HandlerState.ENABLED:
            return
        for entry in old.enabled_settings():
            name = old.handler.name if entry is None else entry.name
            self.disable_codes[name] = self._in_spite_of(Op.DISABLE, partial(old.disable, entry))

    def carry_over(self) -> None:
        """What the old version knows moves to the new one."""
        package.carry_over(self._replaced().home, self.new.home)

    def update(self) -> None:
        """The new version's update command; going down, the old one's (EXT 3.10)."""
        old, new = self._replaced(), self.new
        is_downgrade = Version(new.home.version) < Version(old.home.version)
        extra = {
            "VERSION": new.home.version,
            "AZURE_GUEST_AGENT_UPDATING_FROM_VERSION": (new if is_downgrade else old).home.version,
            **self._disable_variable(),
        }
        (old if is_downgrade else new).update(self.settings, extra)

    def uninstall_old(self) -> None:
        """The old version's uninstall command."""
        old = self._replaced()
        self.uninstall_code = self._in_spite_of(Op.UNINSTALL, partial(old.uninstall, self.settings))

    def remove_old(self) -> None:
        """The old version's files."""
        package.remove(self._replaced().home)

    def finish_update(self) -> None:
        """The new install command where the publisher wants it; then it is installed."""
        if self.new.manifest().updates_with_install:
            self.install()
        else:
            change(self.new.home, Change.UPDATED)

    def disable(self) -> None:
        """Disable what this item names, if it is enabled."""
        if read_state(self.new.home) is not HandlerState.ENABLED:
            return
        if self.settings is None or self._is_stored_enabled(self.settings):
            self.new.disable(self.settings)

    def disable_all(self) -> None:
        """Disable every enabled extension of the handler."""
        for entry in self.new.enabled_settings():
            self.new.disable(entry)

    def uninstall(self) -> None:
        """Uninstall; a failure is told and does not keep the handler here."""
        try:
            self.new.uninstall(self.settings)
        except ExtensionError as error:
            self.new.voice.complain(Op.UNINSTALL, error.for_fabric())

    def remove(self) -> None:
        """The handler's files; that it is no longer reported tells the fabric that it is gone."""
        package.remove(self.new.home)
        self.new.voice.info("Removed %s", self.new.home.folder)

    def _replaced(self) -> Operator:
        if self.old is None:
            raise ExtensionError(f"cannot update {self.new.home.full_name}: no older one is here")
        return self.old

    def _is_stored_enabled(self, entry: Settings) -> bool:
        extension = extension_of(self.new.handler, entry)
        if extension is None:
            return read_state(self.new.home) is HandlerState.ENABLED
        return is_extension_enabled(self.new.home, extension)

    def _in_spite_of(self, op: Op, do: Callable[[], None]) -> str:
        """Run an old version's command; its exit code if the new version goes on regardless."""
        try:
            do()
        except ExtensionError as error:
            goes_on = self.new.manifest().continues_on_update_failure
            message = f"{error.for_fabric()}; ContinueOnUpdate: {goes_on}"
            self._replaced().voice.complain(op, message)
            if not goes_on:
                raise UpdateFailed(message) from error
            return exit_code_of(error)
        return "0"

    def _disable_variable(self) -> dict[str, str]:
        handler = self.new.handler
        if not handler.is_multi_config:
            code = self.disable_codes.get(handler.name, NOT_RUN)
            return {"AZURE_GUEST_AGENT_DISABLE_CMD_EXIT_CODE": code}
        codes = [
            {"extensionName": entry.name, "exitCode": self.disable_codes.get(entry.name, NOT_RUN)}
            for entry in handler.settings
        ]
        name = "AZURE_GUEST_AGENT_DISABLE_CMD_EXIT_CODES_MULTIPLE_EXTENSIONS"
        return {name: json.dumps(codes)}


def steps_to_enable(work: Work, way: Way) -> tuple[Step, ...]:
    """Bring the wanted version here if need be, then enable it."""
    enable = Step("enable", Op.ENABLE, work.enable)
    configure = Step("write settings", None, work.write_settings)
    if way is Way.REUSE:
        return Step("check", None, work.check), configure, enable
    unpack = Step("unpack", Op.DOWNLOAD, work.unpack)
    if way is Way.INSTALL:
        return unpack, configure, Step("install", Op.INSTALL, work.install), enable
    return (
        unpack,
        configure,
        Step("disable old", Op.DISABLE, work.disable_old),
        Step("carry over", Op.UPDATE, work.carry_over),
        Step("update", Op.UPDATE, work.update),
        Step("uninstall old", Op.UNINSTALL, work.uninstall_old),
        Step("remove old", Op.UPDATE, work.remove_old),
        Step("install", Op.INSTALL, work.finish_update),
        enable,
    )


def steps_to_disable(work: Work) -> tuple[Step, ...]:
    """Disable what is enabled."""
    return (Step("disable", Op.DISABLE, work.disable),)


def steps_to_uninstall(work: Work) -> tuple[Step, ...]:
    """Disable, uninstall and remove; of what was never installed only remove the files."""
    state = read_state(work.new.home)
    remove = Step("remove", Op.UNINSTALL, work.remove)
    if state is HandlerState.NOT_INSTALLED:
        return (remove,)
    uninstall = Step("uninstall", Op.UNINSTALL, work.uninstall)
    if state is HandlerState.ENABLED:
        return Step("disable", Op.DISABLE, work.disable_all), uninstall, remove
    return uninstall, remove
