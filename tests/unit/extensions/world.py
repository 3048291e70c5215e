"""A guest whose handlers are real scripts, and a store that has their packages."""

from __future__ import annotations

import io
import json
import select
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Optional

from tests.support.clock import ManualClock
from waagent.core.archive import ArchiveError
from waagent.core.clock import Stop
from waagent.core.commands import ProcessRunner
from waagent.core.conf import Conf
from waagent.core.context import Context
from waagent.core.errors import HttpError
from waagent.core.events import Events
from waagent.core.paths import make_paths
from waagent.core.system import System
from waagent.extensions.codes import ExtensionError
from waagent.extensions.home import HandlerHome, home_of
from waagent.extensions.launch import COMMANDS, Command, Launcher
from waagent.extensions.reconcile import Extensions
from waagent.extensions.state import Operation
from waagent.protocol.documents.extensions import (
    ExtensionsGoalState,
    GoalStateChannel,
    GoalStateSource,
)
from waagent.protocol.documents.handlers import Handler, RequestedState, Settings

NAME = "Test.Handler"
ADDRESS = "168.63.129.16"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OPERATIONS = tuple(operation.value for operation in Operation)

# Appends what it was called with to a file beside the lib dir, writes a status on enable.
SCRIPT = r"""#!/bin/sh
home=$(pwd)
prefix=${ConfigExtensionName:+$ConfigExtensionName.}$ConfigSequenceNumber
printf '%s %s %s\n' "$1" "$AZURE_GUEST_AGENT_EXTENSION_VERSION" "$prefix" >>"$home/../../calls"
env | sort >"$home/../../env.$1"
printf 'out of %s\n' "$1"
printf 'err of %s\n' "$1" >&2
if [ "$1" = enable ] && [ -n "@STATUS@" ]; then
    printf '[{"version": 1.0, "status": {"operation": "Enable", "status": "@STATUS@", "code": 0,
        "formattedMessage": {"lang": "en-US", "message": "from %s"}}}]' "$prefix" \
        >"status/$prefix.status"
    echo "$prefix" >mrseq
fi
@TRAP@
case "$1" in @EXITS@ *) exit 0 ;; esac
"""


class ProcessClock(ManualClock):
    """Time passes at once, but for processes it is waited for real."""

    def wait(self, stop: Optional[Stop], seconds: float, *descriptors: int) -> bool:
        """See ``Clock.wait``."""
        if not descriptors:
            return super().wait(stop, seconds)
        poller = select.poll()
        for descriptor in (*descriptors, *((stop.fileno(),) if stop else ())):
            poller.register(descriptor, select.POLLIN)
        if not poller.poll(int(seconds * 1000)):
            self.advance(seconds)
        return stop is not None and stop.is_set()


def manifest_json(**options: Any) -> list[dict[str, Any]]:
    """HandlerManifest.json; options replace or add members, ``None`` removes one."""
    body: dict[str, Any] = {f"{name}Command": f"bin/run.sh {name}" for name in OPERATIONS}
    body.update(options)
    kept = {key: value for key, value in body.items() if value is not None}
    return [{"name": NAME, "version": 1.0, "handlerManifest": kept}]


def package(
    *,
    exits: Optional[Mapping[str, int]] = None,
    status: str = "success",
    trap: str = "",
    files: Optional[Mapping[str, bytes]] = None,
    **options: Any,
) -> bytes:
    """A handler's zip: which commands fail and with what, and the status that enable writes."""
    cases = " ".join(f"{name}) exit {code} ;;" for name, code in (exits or {}).items())
    script = SCRIPT.replace("@EXITS@", cases).replace("@STATUS@", status)
    script = script.replace("@TRAP@", trap)
    return zipped(
        {
            "HandlerManifest.json": json.dumps(manifest_json(**options)).encode(),
            "bin/run.sh": script.encode(),
            **(files or {}),
        }
    )


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip of these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    return out.getvalue()


@dataclass
class PackageStore:
    """Serves manifests and packages by handler; whatever is not here cannot be downloaded."""

    packages: dict[str, dict[str, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    manifests_fail: bool = False

    def publish(self, version: str, content: bytes, name: str = NAME) -> None:
        """Put a version there."""
        self.packages.setdefault(name, {})[version] = content

    def fetch_text(self, uris: Sequence[str], what: str) -> bytes:
        """A manifest."""
        self.asked.append(what)
        name = uris[0]
        if self.manifests_fail or name not in self.packages:
            raise HttpError(f"Failed to download {what} from all URIs. Last error: 404")
        plugins = "".join(
            f"<Plugin><Version>{version}</Version><Uris><Uri>{name} {version}</Uri></Uris></Plugin>"
            for version in self.packages[name]
        )
        text = f"<PluginVersionManifest><Plugins>{plugins}</Plugins></PluginVersionManifest>"
        return text.encode()

    def fetch_package(self, uris: Sequence[str], target: Path, use: Callable[[Path], None]) -> None:
        """A package, from the first URI whose content can be used."""
        for uri in uris:
            self.asked.append(uri)
            name, _, version = uri.partition(" ")
            try:
                target.write_bytes(self.packages[name][version])
                use(target)
                return
            except (ArchiveError, ExtensionError) as error:
                last = error
            finally:
                target.unlink()
        raise HttpError(
            f"Failed to download {target.name} from all URIs. Last error: {last.for_fabric()}"
        )


class World:
    """A guest in a folder with an extensions room of its own."""

    def __init__(
        self,
        root: Path,
        conf: Optional[Conf] = None,
        *,
        environment: Optional[Mapping[str, str]] = None,
    ) -> None:
        self.clock = ProcessClock()
        variables = {"PATH": PATH, "LANG": "C.UTF-8", **(environment or {})}
        system = System(root, ProcessRunner(variables), self.clock, variables)
        conf = conf or Conf()
        paths = make_paths(system, conf)
        paths.lib.mkdir(parents=True, mode=0o700, exist_ok=True)
        self.paths = paths
        self.stop = Stop()
        self.context = Context(system, conf, paths, Events(paths.events, self.clock), self.stop)
        self.store = PackageStore()
        self.kept: dict[str, bytes] = {}
        self.extensions = self.start()

    def start(self, launcher: Optional[Launcher] = None, **options: Any) -> Extensions:
        """A new process: it knows nothing but what is on the disk."""
        self.extensions = Extensions(
            self.context,
            self.store,
            wire_address=ADDRESS,
            keep_manifest=self.kept.__setitem__,
            launcher=launcher,
            **options,
        )
        return self.extensions

    def launcher(self, limit_s: float) -> Launcher:
        """A launcher that is less patient."""
        commands = {
            operation: Command(limit_s, each.on_failure, each.event, each.announcement)
            for operation, each in COMMANDS.items()
        }
        return Launcher(self.context, ADDRESS, commands)

    def home(self, version: str, name: str = NAME) -> HandlerHome:
        """Where a handler is."""
        return home_of(self.paths, name, version)

    def calls(self) -> list[str]:
        """The commands that ran since the last look: operation, version, settings."""
        path = self.paths.lib.parent / "calls"
        text = path.read_text() if path.exists() else ""
        path.unlink(missing_ok=True)
        return text.splitlines()

    def told(self, operation: str) -> dict[str, str]:
        """The environment that a command had last."""
        text = (self.paths.lib.parent / f"env.{operation}").read_text()
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def events(self, operation: Optional[str] = None) -> list[dict[str, Any]]:
        """The parameters of the telemetry events, oldest first."""
        found = []
        for path in sorted(self.paths.events.glob("*.tld")):
            document = json.loads(path.read_text())
            found.append({each["name"]: each["value"] for each in document["parameters"]})
        return [each for each in found if operation in (None, each["Operation"])]

    def folders(self) -> list[str]:
        """What lies in the lib dir, hidden things too, but for the events."""
        return sorted(path.name for path in self.paths.lib.iterdir() if path.name != "events")


def one(
    sequence_number: int = 0,
    *,
    name: str = NAME,
    version: str = "1.0.0",
    state: RequestedState = RequestedState.ENABLED,
    level: int = 0,
    **options: Any,
) -> Handler:
    """A handler with one configuration."""
    settings = Settings(name, sequence_number, dependency_level=level, public_settings={"a": 1})
    entries = options.pop("settings", (settings,))
    return Handler(name, version, state, (name,), settings=entries, **options)


def several(*settings: Settings, version: str = "1.0.0", **options: Any) -> Handler:
    """A handler with several configurations."""
    state = options.pop("state", RequestedState.ENABLED)
    return Handler(
        NAME, version, state, (NAME,), settings=settings, is_multi_config=True, **options
    )


def goal(*handlers: Handler, number: int = 1, **options: Any) -> ExtensionsGoalState:
    """A goal state of the wire server."""
    return ExtensionsGoalState(
        id=f"incarnation_{number}",
        source=GoalStateSource.FABRIC,
        channel=GoalStateChannel.WIRE_SERVER,
        handlers=handlers,
        **options,
    )
