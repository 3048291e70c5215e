"""HandlerManifest.json: the commands of a handler and how it wants to be treated (spec EXT 3.7)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

from waagent.core import files
from waagent.core.errors import DocumentError, GuestError
from waagent.core.records import dataclass, field
from waagent.core.remembered import remembered
from waagent.extensions.codes import ExtensionCode, ExtensionError, ManifestError
from waagent.extensions.home import HandlerHome
from waagent.extensions.state import Operation
from waagent.protocol.documents.json_fields import parse_json

_WITH_INSTALL = "updatewithinstall"
_FLAGS = ("reportHeartbeat", "continueOnUpdateFailure", "supportsMultipleExtensions")
MAX_BYTES = 1024 * 1024
MANIFEST = "HandlerManifest.json"


@dataclass(frozen=True)
class HandlerManifest:
    """What the publisher says; ``notes`` tells of values that could not be used."""

    commands: dict[Operation, str] = field(default_factory=dict)
    reports_heartbeat: bool = False
    updates_with_install: bool = True
    continues_on_update_failure: bool = False
    supports_multiple_extensions: bool = False
    notes: tuple[str, ...] = ()

    def command(self, operation: Operation) -> str:
        """The command line; ``ExtensionError`` when the manifest has none."""
        line = self.commands.get(operation)
        if line is None:
            raise ExtensionError(
                f"cannot {operation.value}: HandlerManifest.json has no {operation.value}Command"
            )
        return line


@remembered(32)
def parse_handler_manifest(data: bytes) -> HandlerManifest:
    """The manifest; raises ``ManifestError`` with the code that the service knows."""
    try:
        document = parse_json(data, "HandlerManifest.json")
    except DocumentError as error:
        raise ManifestError(str(error), ExtensionCode.MANIFEST_INVALID) from error
    item = document[0] if isinstance(document, list) and document else None
    body = item.get("handlerManifest") if isinstance(item, dict) else None
    if not isinstance(body, dict):
        raise ManifestError("Malformed manifest file.")
    commands = {operation: body.get(f"{operation.value}Command") for operation in Operation}
    mode = body.get("updateMode")
    heartbeat, goes_on, multiple = (_flag(body.get(name)) for name in _FLAGS)
    return HandlerManifest(
        commands={key: line for key, line in commands.items() if isinstance(line, str)},
        reports_heartbeat=heartbeat,
        updates_with_install=mode is None or str(mode).lower() == _WITH_INSTALL,
        continues_on_update_failure=goes_on,
        supports_multiple_extensions=multiple,
        notes=tuple(
            f"In HandlerManifest.json {name} is {body[name]!r} and not a boolean"
            for name in _FLAGS
            if name in body and not isinstance(body[name], bool)
        ),
    )


def read_handler_manifest(home: HandlerHome) -> HandlerManifest:
    """The manifest of a handler on disk; raises ``ManifestError``."""
    return parse_handler_manifest(read_bounded(home.manifest))


def read_bounded(path: Path) -> bytes:
    """The bytes of a manifest; raises ``ManifestError``."""
    try:
        return files.read(path, limit=MAX_BYTES)
    except (OSError, GuestError) as error:
        raise ManifestError(
            f"Failed to load manifest file ({path}): {error}", ExtensionCode.MANIFEST_UNREADABLE
        ) from error


def find_manifest(folder: Path) -> Optional[Path]:
    """HandlerManifest.json at the top or, failing that, the first one in a folder below."""
    top = folder / MANIFEST
    if top.is_file():
        return top
    return next((path for path in sorted(folder.rglob(top.name)) if path.is_file()), None)


def _flag(value: Any) -> bool:
    """True, or the word in any case; whatever else is there is the default."""
    return value is True or (isinstance(value, str) and value.lower() == "true")
