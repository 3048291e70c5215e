"""Commands that are no processes: how each ends is said beforehand, and what it does to files.

Each looks at the state of its handler: one that may not run in it fails the test.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from enum import Enum

from tests.unit.extensions.world import ADDRESS, World
from waagent.extensions.codes import (
    ExtensionCode,
    ExtensionError,
    HandlerCommandFailed,
    Interrupted,
)
from waagent.extensions.commandlog import Voice
from waagent.extensions.home import homes_on_disk, prefix_of
from waagent.extensions.launch import COMMANDS, Call, Launcher
from waagent.extensions.state import HandlerState, Operation, read_state

PRESENT = {HandlerState.INSTALLED, HandlerState.ENABLED}
FRESH = {HandlerState.NOT_INSTALLED}
ALLOWED: Mapping[Operation, set[HandlerState]] = {
    Operation.INSTALL: FRESH,
    Operation.ENABLE: PRESENT,
    Operation.DISABLE: {HandlerState.ENABLED},
    Operation.UPDATE: FRESH | PRESENT,  # going down it is the old version's
    Operation.UNINSTALL: PRESENT | {HandlerState.FAILED_UPGRADE},
}


class Ending(Enum):
    """How a command ends."""

    WELL = "well"
    FAILS = "with an exit code"
    LATE = "killed at its limit"
    STOPPED = "left running by an agent that stops"
    COPIES = "well, after it has copied the other version's config"
    WIPES = "well, after it has removed its config"


class ScriptedLauncher(Launcher):
    """Ends each command as the table says."""

    def __init__(self, world: World) -> None:
        super().__init__(world.context, ADDRESS)
        self._paths = world.paths
        self.endings: dict[Operation, Ending] = {}
        self.ran: list[tuple[Operation, str, str]] = []

    def run(self, call: Call, voice: Voice) -> None:
        """See ``Launcher.run``."""
        state, what = read_state(call.home), (call.operation, call.home.full_name)
        prefix = prefix_of(call.handler, call.settings)
        ending = self.endings.get(call.operation, Ending.WELL)
        # A command may have changed the word before; the agent goes by what it did itself.
        if not {Ending.COPIES, Ending.WIPES} & set(self.endings.values()):
            assert state in ALLOWED[call.operation], f"{what} is run in {state}"
        assert call.home.manifest.exists(), what
        self.ran.append((call.operation, call.home.full_name, prefix))
        code = COMMANDS[call.operation].on_failure
        if ending is Ending.FAILS:
            raise HandlerCommandFailed("Non-zero exit code: 3", code, 3)
        if ending is Ending.LATE:
            raise ExtensionError("Timeout", ExtensionCode.COMMAND_TIMED_OUT)
        if ending is Ending.STOPPED:
            raise Interrupted
        self._touch_config(call, ending)
        if call.operation is Operation.ENABLE:
            call.home.extension_status(prefix).write_text(
                '[{"version": 1.0, "status": {"status": "success", "code": 0}}]'
            )

    def _touch_config(self, call: Call, ending: Ending) -> None:
        if ending is Ending.WIPES:
            shutil.rmtree(call.home.config)
        if ending is Ending.COPIES:
            for other in homes_on_disk(self._paths, call.home.name):
                if other.folder != call.home.folder and other.config.is_dir():
                    shutil.copytree(other.config, call.home.config, dirs_exist_ok=True)
