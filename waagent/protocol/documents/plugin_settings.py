"""ExtensionsConfig's Plugins and PluginSettings, matched into handlers (spec WIRE 3.7.3-3.7.5).

Whatever is wrong with one handler's settings makes that handler invalid and no other. The
documents of the reference fail as a whole for some of it; that is repaired here (WIRE 14).
"""

from __future__ import annotations

from typing import Optional

from waagent.core import xml
from waagent.core.errors import DocumentError
from waagent.core.records import replace
from waagent.protocol.documents.handlers import (
    INVALID_PREFIX,
    Handler,
    Note,
    RequestedState,
    Settings,
)
from waagent.protocol.documents.json_fields import Fields, parse_integer, parse_json
from waagent.protocol.documents.names import is_plain_name, shown

INVALID_CONFIG = "InvalidExtensionConfig"
VERSION_MISMATCH = "PluginSettingsVersionMismatch"


class _InvalidHandlerError(Exception):
    """Why one handler cannot be executed, and what was read of its settings before."""

    def __init__(self, reason: str, operation: Optional[str] = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.operation = operation


def parse_handlers(document: xml.Node) -> tuple[tuple[Handler, ...], tuple[Note, ...]]:
    """All handlers in document order, and what has to be logged about them."""
    block = document.find("Plugins")
    settings_block = document.find("PluginSettings")
    by_name: dict[str, list[xml.Node]] = {}
    for node in settings_block.many("Plugin") if settings_block is not None else []:
        by_name.setdefault((node.attr("name") or "").lower(), []).append(node)
    handlers: list[Handler] = []
    notes: list[Note] = []
    for node in block.many("Plugin") if block is not None else []:
        handler = _parse_plugin(node)
        handler = _with_settings(handler, by_name.get(handler.name.lower(), []), notes)
        if handler.invalid_reason is not None:
            notes.append(Note(handler.invalid_reason, INVALID_CONFIG, handler.name))
        handlers.append(handler)
    return tuple(handlers), tuple(notes)


def _parse_plugin(node: xml.Node) -> Handler:
    name = node.attr("name") or ""
    version = node.attr("version") or ""
    word = node.attr("state") or ""
    for value in (name, version):
        if value and not is_plain_name(value):
            # Both become folder names. No fabric says this; whoever does is not obeyed at all.
            raise node.error(f"{shown(value)} cannot be a handler's name or version")
    state = RequestedState.of(word)
    reason = None
    if not name or not version:
        reason = f"Handler {shown(name)} version {shown(version)}: the name or the version is empty"
    elif not word:
        reason = "Received empty Extensions.Plugins.Plugin.state, failing Handler"
    elif state is RequestedState.UNKNOWN:
        reason = f"Unknown ext handler state:{_named(word)} of {name} {version}"
    uris = [node.attr("location"), node.attr("failoverlocation")]
    uris += [uri.content().strip() for uri in node.many("additionalLocations/additionalLocation")]
    return Handler(
        name=name,
        version=version,
        state=state,
        manifest_uris=tuple(uri for uri in uris if uri),
        encoded_signature=node.attr("encodedSignature") or "",
        invalid_reason=None if reason is None else INVALID_PREFIX + reason,
    )


def _with_settings(handler: Handler, nodes: list[xml.Node], notes: list[Note]) -> Handler:
    settings: list[Settings] = []
    reason = handler.invalid_reason
    is_multi_config = any(node.many("ExtensionRuntimeSettings") for node in nodes)
    try:
        if nodes:
            _read_settings(handler, nodes, settings, notes)
    except _InvalidHandlerError as invalid:
        reason = reason or f"{INVALID_PREFIX}{handler.name} {handler.version}: {invalid.reason}"
        if invalid.operation is not None:
            notes.append(Note(reason, invalid.operation, handler.name))
    return replace(
        handler,
        settings=tuple(settings),
        invalid_reason=reason,
        is_multi_config=is_multi_config,
    )


def _read_settings(
    handler: Handler, nodes: list[xml.Node], into: list[Settings], notes: list[Note]
) -> None:
    """Append the entries one by one: those before an error are kept (WIRE 3.7.3)."""
    found = [node.attr("version") or "" for node in nodes]
    if any(version != handler.version for version in found):
        named = ", ".join(_named(version) for version in found[:5])
        raise _InvalidHandlerError(
            "Extension PluginSettings Version Mismatch! "
            f"Expected PluginSettings version: {handler.version}, found: {named}",
            VERSION_MISMATCH,
        )
    if len(nodes) > 1:
        raise _InvalidHandlerError(f"Multiple plugin settings found: expected 1, {len(nodes)} are")
    node = nodes[0]
    single = node.many("RuntimeSettings")
    multi = node.many("ExtensionRuntimeSettings")
    if single and multi:
        raise _InvalidHandlerError("Both RuntimeSettings and ExtensionRuntimeSettings found")
    if len(single) > 1:
        raise _InvalidHandlerError(f"Multiple RuntimeSettings: expected 1, found {len(single)}")
    if single:
        _read_single(handler, node, into, notes)
    elif multi:
        _read_multi(handler, node, into, notes)


def _read_single(handler: Handler, node: xml.Node, into: list[Settings], notes: list[Note]) -> None:
    depends = node.many("DependsOn")
    if len(depends) > 1:
        raise _InvalidHandlerError(f"Multiple DependsOn: expected at most 1, found {len(depends)}")
    level = _parse_level(depends[0], handler, notes) if depends else 0
    entry = Settings(name=handler.name, sequence_number=0, dependency_level=level)
    _read_entry(node.one("RuntimeSettings"), entry, into, notes)


def _read_multi(handler: Handler, node: xml.Node, into: list[Settings], notes: list[Note]) -> None:
    levels: dict[str, int] = {}
    for depends in node.many("DependsOn"):
        name = depends.attr("name")
        if not name:
            raise _InvalidHandlerError("DependsOn of a multi-config extension has no name")
        levels[name] = _parse_level(depends, handler, notes)
    for element in node.many("ExtensionRuntimeSettings"):
        name = element.attr("name") or ""
        if not is_plain_name(name):
            raise _InvalidHandlerError(
                f"{shown(name)} cannot be the name of ExtensionRuntimeSettings"
            )
        word = (element.attr("state") or RequestedState.ENABLED.value).lower()
        state = RequestedState.of(word)
        if state is RequestedState.UNKNOWN:
            raise _InvalidHandlerError(f'State {shown(word)} of extension "{name}" is not known')
        entry = Settings(name, 0, state=state, dependency_level=levels.get(name, 0))
        _read_entry(element, entry, into, notes)


def _read_entry(
    element: xml.Node, entry: Settings, into: list[Settings], notes: list[Note]
) -> None:
    """Append what one settings element holds: normally one entry of ``runtimeSettings``."""
    word = (element.attr("seqNo") or "").strip()
    if not word:
        raise _InvalidHandlerError(f'Settings of "{entry.name}" have no seqNo')
    text = element.content().strip()
    if not text:
        raise _InvalidHandlerError(f'Settings of "{entry.name}" are empty')
    try:
        value = parse_json(text, f'the settings of "{entry.name}"')
    except DocumentError as error:
        if not is_plain_name(word):
            raise _InvalidHandlerError(
                f'seqNo {shown(word)} of "{entry.name}" is no number'
            ) from None
        notes.append(Note(f"Only the sequence number is used: {error}", None, entry.name))
        into.append(replace(entry, sequence_number=word))
        return
    number = parse_integer(word)
    if number is None:
        raise _InvalidHandlerError(f'seqNo {shown(word)} of "{entry.name}" is not an integer')
    try:
        fields = Fields(value, f'the settings of "{entry.name}"')
        if not isinstance(fields.value("runtimeSettings"), list):
            raise fields.error("an array is expected", "runtimeSettings")
        for item in fields.objects("runtimeSettings"):
            into.append(_parse_item(item, replace(entry, sequence_number=number)))
    except DocumentError as error:
        raise _InvalidHandlerError(str(error)) from None


def _parse_item(item: Fields, entry: Settings) -> Settings:
    inner = item.maybe_object("handlerSettings")
    if inner is None:
        raise item.error("it is missing", "handlerSettings")
    return replace(
        entry,
        public_settings=inner.value("publicSettings"),
        protected_settings=inner.maybe_text("protectedSettings"),
        certificate_thumbprint=inner.maybe_text("protectedSettingsCertThumbprint"),
    )


def _parse_level(depends: xml.Node, handler: Handler, notes: list[Note]) -> int:
    word = depends.attr("dependencyLevel") or ""
    level = parse_integer(word)
    if level is None:
        notes.append(
            Note(f"Dependency level {shown(word)} is no number: 0 is used", None, handler.name)
        )
        return 0
    return level


def _named(word: str) -> str:
    return word if is_plain_name(word) else shown(word)
