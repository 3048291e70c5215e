"""vmSettings: the HostPlugin's JSON form of the extensions goal state (spec WIRE 4.3).

Unlike ExtensionsConfig, any violation refuses the whole document: the fabric's own is used then.
"""

from __future__ import annotations

from typing import Any, Optional, Union

from waagent.core.errors import DocumentError
from waagent.core.records import replace
from waagent.core.version import Version
from waagent.protocol.documents.extensions import (
    ZERO_GUID,
    AgentFamily,
    ExtensionsGoalState,
    GoalStateChannel,
    GoalStateSource,
    StatusBlob,
    parse_blob_type,
)
from waagent.protocol.documents.handlers import Handler, Note, RequestedState, Settings
from waagent.protocol.documents.json_fields import Fields, parse_json
from waagent.protocol.documents.names import is_plain_name, shown
from waagent.protocol.documents.ticks import parse_ticks

DOCUMENT = "vmSettings"
MIN_PLUGIN_VERSION = Version("1.0.8.133")  # older plugins count as not serving vmSettings
SIGNATURES_SINCE = Version("1.0.8.159")
PROVISION_AFTER = "ProvisionAfterExtensions"


def is_supported(goal: ExtensionsGoalState) -> bool:
    """Whether the plugin is new enough for its vmSettings to be used."""
    return Version(goal.host_plugin_version or "0") >= MIN_PLUGIN_VERSION


def parse_vm_settings(data: bytes) -> ExtensionsGoalState:
    """The HostPlugin's settings, which have their id once the ETag is known.

    The error has ``host_plugin_version`` among its facts.
    """
    fields = Fields(parse_json(data, DOCUMENT), DOCUMENT)
    version = _parse_plugin_version(fields)
    try:
        return _parse_extensions(fields, version)
    except DocumentError as error:
        raise DocumentError(error.message, host_plugin_version=version.text) from None


def _parse_plugin_version(fields: Fields) -> Version:
    text = fields.maybe_text("hostGAPluginVersion") or "0.0.0.0"
    try:
        return Version(text)
    except ValueError:
        raise fields.error(f"{shown(text)} is no version", "hostGAPluginVersion") from None


def _parse_extensions(fields: Fields, plugin_version: Version) -> ExtensionsGoalState:
    status_blob, notes = _parse_status_blob(fields)
    handlers: list[Handler] = []
    for item in fields.objects("extensionGoalStates"):
        handler, handler_notes = _parse_handler(item)
        handlers.append(handler)
        notes += handler_notes
    return ExtensionsGoalState(
        id="etag_",
        source=_parse_source(fields),
        channel=GoalStateChannel.HOST_PLUGIN,
        created_on=_parse_created_on(fields),
        activity_id=fields.maybe_text("activityId") or ZERO_GUID,
        correlation_id=fields.maybe_text("correlationId") or ZERO_GUID,
        svd_seq_no=_parse_svd_seq_no(fields),
        on_hold=fields.maybe_flag("onHold") or False,
        status_blob=status_blob,
        agent_families=tuple(_parse_family(item) for item in fields.objects("gaFamilies")),
        required_features=tuple(item.text("name") for item in fields.objects("requiredFeatures")),
        handlers=tuple(handlers),
        supports_signatures=plugin_version >= SIGNATURES_SINCE,
        host_plugin_version=plugin_version.text,
        notes=notes,
    )


def _parse_source(fields: Fields) -> GoalStateSource:
    word = fields.maybe_text("extensionGoalStatesSource")
    known = (GoalStateSource.FABRIC, GoalStateSource.FAST_TRACK)
    return next((source for source in known if source.value == word), GoalStateSource.UNKNOWN)


def _parse_created_on(fields: Fields) -> str:
    value = fields.value("extensionsLastModifiedTickCount")
    return parse_ticks(value if isinstance(value, (str, int)) else None)


def _parse_svd_seq_no(fields: Fields) -> Union[str, int]:
    """As sent, to be reported back as sent; nothing becomes the zero GUID (WIRE 14, no. 13)."""
    value = fields.value("inSvdSeqNo")
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) or value is None:
        return fields.maybe_text("inSvdSeqNo") or ZERO_GUID
    raise fields.error("a number or text is expected", "inSvdSeqNo")


def _parse_status_blob(fields: Fields) -> tuple[Optional[StatusBlob], tuple[Note, ...]]:
    blob = fields.maybe_object("statusUploadBlob")
    if blob is None:
        return None, ()
    if blob.value("value") == "":  # nowhere to report to is no reason to run nothing
        return None, ()
    url = blob.text("value").strip()
    kind, notes = parse_blob_type(blob.maybe_text("statusBlobType"))
    return StatusBlob(url, kind), notes


def _parse_family(fields: Fields) -> AgentFamily:
    return AgentFamily(
        name=fields.text("name"),
        version=fields.maybe_text("version"),
        from_version=fields.maybe_text("fromVersion"),
        is_version_from_rsm=fields.maybe_flag("isVersionFromRSM"),
        is_vm_enabled_for_rsm_upgrades=fields.maybe_flag("isVMEnabledForRSMUpgrades"),
        uris=fields.texts("uris"),
    )


def _parse_handler(fields: Fields) -> tuple[Handler, tuple[Note, ...]]:
    name = _plain_name(fields, "name")
    state = RequestedState.of(fields.text("state"))
    if state is RequestedState.UNKNOWN:
        raise fields.error("enabled, disabled or uninstall is expected", "state")
    uris = [fields.maybe_text("location"), fields.maybe_text("failoverLocation")]
    uris += fields.texts("additionalLocations")
    handler = Handler(
        name=name,
        version=_plain_name(fields, "version"),
        state=state,
        manifest_uris=tuple(uri for uri in uris if uri),
        encoded_signature=fields.maybe_text("encodedSignature") or "",
        is_multi_config=fields.maybe_flag("isMultiConfig") or False,
    )
    if handler.is_multi_config:
        settings, notes = _parse_multi(fields)
    else:
        settings, notes = _parse_single(fields, handler)
    return replace(handler, settings=settings), notes


def _parse_single(
    fields: Fields, handler: Handler
) -> tuple[tuple[Settings, ...], tuple[Note, ...]]:
    items = fields.objects("settings")
    level, notes = _parse_single_level(fields, handler.name)
    if len(items) > 1:
        raise fields.error(f"{len(items)} are too many without multi-config", "settings")
    if not items:
        if level:
            notes += (Note("A dependency level without settings is ignored", None, handler.name),)
        return (), notes
    entry = Settings(
        name=handler.name,
        sequence_number=fields.number("settingsSeqNo"),
        state=handler.state,
        dependency_level=level,
    )
    return (_with_content(items[0], entry),), notes


def _parse_single_level(fields: Fields, name: str) -> tuple[int, tuple[Note, ...]]:
    if fields.value("dependsOn") is None:
        return 0, ()
    depends = fields.objects("dependsOn")
    if len(depends) > 1:
        raise fields.error(f"{len(depends)} are too many without multi-config", "dependsOn")
    if not depends:
        return 0, (Note("An empty dependsOn counts as level 0", None, name),)
    return depends[0].number("dependencyLevel"), _dependency_notes(depends[0], name)


def _parse_multi(fields: Fields) -> tuple[tuple[Settings, ...], tuple[Note, ...]]:
    entries: dict[str, Settings] = {}
    notes: tuple[Note, ...] = ()
    for item in fields.objects("settings"):
        name = _plain_name(item, "extensionName")
        state = RequestedState.of(item.text("extensionState").lower())
        if state is RequestedState.UNKNOWN:
            raise item.error("enabled or disabled is expected", "extensionState")
        entry = Settings(name=name, sequence_number=item.number("seqNo"), state=state)
        entries[name] = _with_content(item, entry)
    for depends in fields.objects("dependsOn"):
        name = depends.text("name")
        if name not in entries:
            raise depends.error(f"{shown(name)} is no extension of this handler", "name")
        level = depends.number("dependencyLevel")
        entries[name] = replace(entries[name], dependency_level=level)
        notes += _dependency_notes(depends, name)
    return tuple(entries.values()), notes


def _dependency_notes(depends: Fields, name: str) -> tuple[Note, ...]:
    """What comes after what, for the event only: the levels decide."""
    items = depends.objects("dependsOnExtension")
    pairs = ((item.maybe_text("handler"), item.maybe_text("extension")) for item in items)
    earlier = [".".join(part for part in pair if part) for pair in pairs]
    if not earlier:
        return ()
    return (Note(f"{name} comes after {', '.join(earlier)}", PROVISION_AFTER, name),)


def _with_content(fields: Fields, entry: Settings) -> Settings:
    protected = fields.maybe_text("protectedSettings")
    thumbprint = fields.maybe_text("protectedSettingsCertThumbprint")
    if protected is not None and thumbprint is None:
        raise fields.error("protected settings need it", "protectedSettingsCertThumbprint")
    public = fields.maybe_text("publicSettings")
    return replace(
        entry,
        public_settings=_parse_public(public, entry.name) if public is not None else None,
        protected_settings=protected,
        certificate_thumbprint=thumbprint,
    )


def _parse_public(text: str, name: str) -> Any:
    return parse_json(text, f'{DOCUMENT}, the public settings of "{name}"')


def _plain_name(fields: Fields, key: str) -> str:
    text = fields.text(key)
    if not is_plain_name(text):  # it becomes part of file names
        raise fields.error(f"{shown(text)} cannot be a name", key)
    return text
