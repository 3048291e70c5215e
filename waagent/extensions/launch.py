"""Run one command of a handler: environment, folder, time limit, bounded output.

The only place where a manifest's shell line is run. Source: spec EXT 3.8 and the recorded calls.
"""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Mapping
from types import MappingProxyType
from typing import IO, Optional

from waagent.core import files
from waagent.core.commands import MARKER, Child, Spawn
from waagent.core.context import Context
from waagent.core.errors import CommandFailed
from waagent.core.events import Op
from waagent.core.outputs import Outputs
from waagent.core.records import dataclass, field
from waagent.extensions import running
from waagent.extensions.codes import (
    ExtensionCode,
    ExtensionError,
    HandlerCommandFailed,
    Interrupted,
)
from waagent.extensions.commandlog import Voice
from waagent.extensions.gate import Gate
from waagent.extensions.home import HandlerHome, extension_of, item_name
from waagent.extensions.state import Operation
from waagent.protocol.documents.handlers import Handler, Settings

NOT_RUN = "NOT_RUN"
FEATURES = '[{"Key": "ExtensionTelemetryPipeline", "Value": "1.0"}]'
MAX_OUTPUT = 3200
LONGEST_LINE = 1024
_EACH = 1590
_NOT_EXECUTABLE = 126
_SLICE_S = 0.25  # so often a command is looked at, and what it writes without end is cut


@dataclass(frozen=True)
class Command:
    """What holds for one kind of command, whatever the handler."""

    limit_s: float
    on_failure: ExtensionCode
    event: Op
    announcement: str


COMMANDS: Mapping[Operation, Command] = MappingProxyType(
    {
        Operation.INSTALL: Command(
            900, ExtensionCode.INSTALL_FAILED, Op.INSTALL, "Install extension [{}]"
        ),
        Operation.ENABLE: Command(
            300, ExtensionCode.ENABLE_FAILED, Op.ENABLE, "Enable extension: [{}]"
        ),
        Operation.UPDATE: Command(
            900, ExtensionCode.UPDATE_FAILED, Op.UPDATE, "Update extension [{}]"
        ),
        Operation.DISABLE: Command(
            900, ExtensionCode.DISABLE_FAILED, Op.DISABLE, "Disable extension: [{}]"
        ),
        Operation.UNINSTALL: Command(
            300, ExtensionCode.PROCESSING_FAILED, Op.UNINSTALL, "Uninstall extension [{}]"
        ),
    }
)


@dataclass(frozen=True)
class Call:
    """One run: whose command, which, its line in the manifest, and for which settings."""

    home: HandlerHome
    operation: Operation
    line: str
    handler: Handler
    settings: Optional[Settings] = None
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The line that the shell gets: below the handler's folder, whatever it begins with."""
        return f"{shlex.quote(str(self.home.folder))}/{self.line.lstrip('/')}"

    @property
    def shown(self) -> str:
        """That line for messages, which may be anything that a publisher wrote."""
        return _shown(self.path)


class Launcher:
    """Runs handler commands on this guest."""

    def __init__(
        self,
        context: Context,
        wire_address: str,
        commands: Mapping[Operation, Command] = COMMANDS,
    ) -> None:
        self._context = context
        self._system = context.system
        self._wire_address = wire_address
        self._commands = commands
        self._outputs = Outputs(MAX_OUTPUT)

    def run(self, call: Call, voice: Voice) -> None:
        """Run the command to its end; raises ``ExtensionError``, or ``Interrupted`` on stop."""
        if self._context.stop.is_set():
            raise Interrupted
        command = self._commands[call.operation]
        variables = call_environment(call, self._wire_address)
        voice.info("%s", command.announcement.format(_shown(call.line)))
        voice.report(
            command.event,
            f"Executing command: {call.shown} with environment variables: {json.dumps(variables)}",
        )
        start = self._system.clock.monotonic()
        what = f"run {call.operation.value} of {item_name(call.handler, call.settings)}"
        ours = {key: text for key, text in self._system.environment.items() if key != MARKER[0]}
        with self._context.doing(f"{what}-{call.home.version}", limit_s=command.limit_s):
            output = self._run(call, command, {**variables, **ours})
        took_ms = int((self._system.clock.monotonic() - start) * 1000)
        lines = [line for line in output.splitlines() if line.strip()]
        text = "\n".join([f"Command: {_shown(call.line)}", *lines])
        voice.report(command.event, text, duration_ms=took_ms)

    def tend(self) -> None:
        """Keep small what services write to that commands have left behind."""
        self._outputs.tend()

    def _run(self, call: Call, command: Command, environment: Mapping[str, str]) -> str:
        folder = call.home.folder
        with contextlib.ExitStack() as stack:
            try:
                stdout, stderr = stack.enter_context(self._outputs.pair(folder))
                gate = stack.enter_context(contextlib.closing(Gate()))
                child = self._system.start(
                    Spawn(
                        gate.argv(call.path),
                        cwd=folder,
                        env=environment,
                        stdout=stdout,
                        stderr=stderr,
                        stdin=gate.stdin,
                    )
                )
            except CommandFailed as error:
                raise ExtensionError(
                    f"Failed to launch '{call.shown}': {error.output}", command.on_failure
                ) from error
            except OSError as error:
                raise ExtensionError(
                    f"Failed to launch '{call.shown}': {error.strerror}", command.on_failure
                ) from error
            running.note(
                self._system,
                call.home,
                pid=child.pid,
                operation=call.operation.value,
                limit_s=command.limit_s,
            )
            gate.open()
            code = self._await_end(child, command.limit_s, stdout, stderr)
            running.forget(call.home)
            output = format_output(self._outputs.text(stdout), self._outputs.text(stderr))
        if code is None:
            raise ExtensionError(
                f"Timeout({command.limit_s:g}): {call.shown}\n{output}",
                ExtensionCode.COMMAND_TIMED_OUT,
            )
        if code != 0:
            hint = self._noexec_hint(call.home) if code == _NOT_EXECUTABLE else ""
            raise HandlerCommandFailed(
                f"Non-zero exit code: {code}, {call.shown}{hint}\n{output}",
                command.on_failure,
                code,
            )
        return output

    def _await_end(self, child: Child, limit_s: float, *streams: IO[bytes]) -> Optional[int]:
        """The exit code, or ``None`` when the time was over and the group was killed.

        Processes that the command leaves behind are not waited for. When we are to stop, the
        command is left alone, on record: the next start waits for it and then runs it again.
        """
        deadline = self._system.clock.monotonic() + limit_s
        code = child.poll()
        while code is None:
            left = deadline - self._system.clock.monotonic()
            if left <= 0:
                child.kill_group()
                running.end_session(self._system, child.pid)
                self._await_death(child)
                return None
            if self._pause(child, left):
                raise Interrupted
            self._outputs.bound(*streams)
            code = child.poll()
        return code

    def _pause(self, child: Child, left_s: float) -> bool:
        descriptor = child.descriptor()
        descriptors = () if descriptor is None else (descriptor,)
        return self._system.clock.wait(self._context.stop, min(left_s, _SLICE_S), *descriptors)

    def _await_death(self, child: Child) -> None:
        deadline = self._system.clock.monotonic() + running.DYING_S
        while child.poll() is None and self._system.clock.monotonic() < deadline:
            descriptor = child.descriptor()
            descriptors = () if descriptor is None else (descriptor,)
            self._system.clock.wait(None, _SLICE_S, *descriptors)

    def _noexec_hint(self, home: HandlerHome) -> str:
        mounts = files.read_if_there(self._system.path("/proc/mounts")) or ""
        folder = f"{self._system.within(home.folder.parent)}/"
        for line in mounts.splitlines():
            fields = line.split()
            if len(fields) < 4 or "noexec" not in fields[3].split(","):
                continue
            if folder.startswith(fields[1].rstrip("/") + "/"):
                return (
                    f"\nWARNING: {fields[1]} is mounted with the noexec flag, which can prevent"
                    " execution of VM Extensions."
                )
        return ""


def call_environment(call: Call, wire_address: str) -> dict[str, str]:
    """What a command is told, in the names that extensions know."""
    settings = call.settings
    variables = {
        "AZURE_GUEST_AGENT_EXTENSION_PATH": str(call.home.folder),
        "AZURE_GUEST_AGENT_EXTENSION_VERSION": call.home.version,
        "AZURE_GUEST_AGENT_WIRE_PROTOCOL_ADDRESS": wire_address,
        "ConfigSequenceNumber": "0" if settings is None else str(settings.sequence_number),
        "AZURE_GUEST_AGENT_EXTENSION_SUPPORTED_FEATURES": FEATURES,
    }
    extension = extension_of(call.handler, settings)
    if extension is not None:
        variables["ConfigExtensionName"] = extension
    return {**variables, **call.extra}


def format_output(stdout: str, stderr: str) -> str:
    """Both streams, cut to what the service shows; of too much, the end is kept."""
    if len(stdout) + len(stderr) >= MAX_OUTPUT:
        room_out = _EACH + max(0, _EACH - len(stderr))
        room_err = _EACH + max(0, _EACH - len(stdout))
        stdout, stderr = stdout[-room_out:], stderr[-room_err:]
    return f"[stdout]\n{stdout}\n\n[stderr]\n{stderr}"


def _shown(line: str) -> str:
    text = line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..."
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
