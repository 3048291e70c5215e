"""One handler's directories and file names (spec EXT 3.5). Reads and writes nothing itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from waagent.core.paths import Paths
from waagent.core.records import dataclass
from waagent.protocol.documents.handlers import Handler, Settings


@dataclass(frozen=True)
class HandlerHome:
    """Where one version of one handler lives; logs and events are shared by its versions."""

    name: str
    version: str
    folder: Path
    package: Path
    log_folder: Path

    @property
    def full_name(self) -> str:
        """Name and version, as the folder has it."""
        return f"{self.name}-{self.version}"

    @property
    def manifest(self) -> Path:
        """HandlerManifest.json, at the top whatever the package has it."""
        return self.folder / "HandlerManifest.json"

    @property
    def environment(self) -> Path:
        """HandlerEnvironment.json."""
        return self.folder / "HandlerEnvironment.json"

    @property
    def heartbeat(self) -> Path:
        """The heartbeat that the handler may write."""
        return self.folder / "heartbeat.log"

    @property
    def last_sequence(self) -> Path:
        """``mrseq``: the handler's own note of what it has done; it moves along with an update."""
        return self.folder / "mrseq"

    @property
    def config(self) -> Path:
        """Settings, states and statuses; only root may look inside."""
        return self.folder / "config"

    @property
    def status(self) -> Path:
        """The statuses that the handler writes."""
        return self.folder / "status"

    @property
    def events(self) -> Path:
        """Telemetry of the handler."""
        return self.log_folder / "events"

    @property
    def state(self) -> Path:
        """The word for the handler's state."""
        return self.config / "HandlerState"

    @property
    def stored_status(self) -> Path:
        """What was last said of the handler as a whole."""
        return self.config / "HandlerStatus"

    @property
    def command(self) -> Path:
        """Which command runs now, for an agent that is started meanwhile (``running.py``)."""
        return self.config / "HandlerCommand"

    def extension_state(self, extension: str) -> Path:
        """``enabled`` or ``disabled``: one extension of a multi-config handler."""
        return self.config / f"{extension}.HandlerState"

    def settings(self, prefix: str) -> Path:
        """The settings file of a sequence number, or of ``<extension>.<sequence number>``."""
        return self.config / f"{prefix}.settings"

    def extension_status(self, prefix: str) -> Path:
        """The status file of a sequence number, or of ``<extension>.<sequence number>``."""
        return self.status / f"{prefix}.status"

    def command_log(self, extension: Optional[str]) -> Path:
        """What we log about this handler, or about one extension of it."""
        suffix = f"_{extension}" if extension else ""
        return self.log_folder / f"CommandExecution{suffix}.log"


def home_of(paths: Paths, name: str, version: str) -> HandlerHome:
    """The home of a version, there or not."""
    return HandlerHome(
        name=name,
        version=version,
        folder=paths.handler(name, version),
        package=paths.package(name, version),
        log_folder=paths.handler_log(name),
    )


def homes_on_disk(paths: Paths, name: Optional[str] = None) -> Iterable[HandlerHome]:
    """Every handler folder, or those of one handler (exact case)."""
    for found, version, _ in paths.handler_folders():
        if name is None or found == name:
            yield home_of(paths, found, version)


def extension_of(handler: Handler, settings: Optional[Settings]) -> Optional[str]:
    """The extension's own name where the handler has several, else ``None``."""
    return settings.name if handler.is_multi_config and settings is not None else None


def prefix_of(handler: Handler, settings: Optional[Settings]) -> str:
    """How the files of these settings begin; ``0`` without settings."""
    if settings is None:
        return "0"
    extension = extension_of(handler, settings)
    number = str(settings.sequence_number)
    return f"{extension}.{number}" if extension else number


def item_name(handler: Handler, settings: Optional[Settings]) -> str:
    """``Handler``, or ``Handler.Extension`` where it has several: the name in messages."""
    extension = extension_of(handler, settings)
    return f"{handler.name}.{extension}" if extension else handler.name
