"""The extensions goal state: the one type for both sources, and the wire server's form of it.

The HostPlugin's form is in ``vm_settings.py``. Source: spec WIRE 3.7, EXT 2.1.
"""

from __future__ import annotations

from enum import Enum
from typing import Optional, Union

from waagent.core import xml
from waagent.core.records import dataclass, replace
from waagent.protocol.documents.handlers import Handler, Note, RequestedState, Settings
from waagent.protocol.documents.names import shown
from waagent.protocol.documents.plugin_settings import parse_handlers
from waagent.protocol.documents.ticks import MIN_TIMESTAMP, parse_ticks

__all__ = [
    "MIN_TIMESTAMP",
    "ZERO_GUID",
    "AgentFamily",
    "ExtensionsGoalState",
    "GoalStateChannel",
    "GoalStateSource",
    "Handler",
    "Note",
    "RequestedState",
    "Settings",
    "StatusBlob",
    "empty_extensions",
    "parse_blob_type",
    "parse_extensions_config",
]

ZERO_GUID = "00000000-0000-0000-0000-000000000000"
BLOCK_BLOB = "BlockBlob"
PAGE_BLOB = "PageBlob"


class GoalStateSource(str, Enum):
    """Who decided; the values are wire text."""

    FABRIC = "Fabric"
    FAST_TRACK = "FastTrack"
    EMPTY = "Empty"
    UNKNOWN = "UNKNOWN"


class GoalStateChannel(str, Enum):
    """Which way it came; the values are wire text."""

    WIRE_SERVER = "WireServer"
    HOST_PLUGIN = "HostGAPlugin"
    EMPTY = "Empty"


@dataclass(frozen=True)
class StatusBlob:
    """Where the status goes; the URL carries a token, which is not shown."""

    url: str
    type: str = BLOCK_BLOB


@dataclass(frozen=True)
class AgentFamily:
    """One family of agents and the version it should have; ``None`` where nothing is said."""

    name: str
    version: Optional[str] = None
    from_version: Optional[str] = None
    is_version_from_rsm: Optional[bool] = None
    is_vm_enabled_for_rsm_upgrades: Optional[bool] = None
    uris: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExtensionsGoalState:
    """What the fabric wants of the extensions.

    ``on_hold`` is ``None`` when the artifacts profile has to be asked for it. ``notes`` is what
    the reader of the document has to log. ``is_outdated`` is set by who compares the sources.
    ``host_plugin_version`` is ``None`` where the HostPlugin had no part in it.
    """

    id: str
    source: GoalStateSource
    channel: GoalStateChannel
    created_on: str = MIN_TIMESTAMP
    activity_id: str = ZERO_GUID
    correlation_id: str = ZERO_GUID
    svd_seq_no: Union[str, int] = ""
    on_hold: Optional[bool] = False
    artifacts_profile_url: Optional[str] = None
    status_blob: Optional[StatusBlob] = None
    agent_families: tuple[AgentFamily, ...] = ()
    required_features: tuple[str, ...] = ()
    handlers: tuple[Handler, ...] = ()
    supports_signatures: bool = True
    host_plugin_version: Optional[str] = None
    is_outdated: bool = False
    notes: tuple[Note, ...] = ()

    def with_etag(self, etag: str) -> ExtensionsGoalState:
        """The same under the ETag that came with it."""
        return replace(self, id=f"etag_{etag}")

    @property
    def identity(self) -> str:
        """What tells it from any other: of ``id`` alone we have only the host's word."""
        return f"{self.id} of {self.created_on}"

    def with_incarnation(self, incarnation: str) -> ExtensionsGoalState:
        """The same under the goal state's incarnation, which is also what is reported back."""
        return replace(self, id=f"incarnation_{incarnation}", svd_seq_no=incarnation)


def empty_extensions(incarnation: str) -> ExtensionsGoalState:
    """The extensions of a goal state that names no ExtensionsConfig (spec WIRE 3.3)."""
    return ExtensionsGoalState(
        id=f"incarnation_{incarnation}",
        source=GoalStateSource.EMPTY,
        channel=GoalStateChannel.EMPTY,
        svd_seq_no=incarnation,
        supports_signatures=False,
    )


def parse_extensions_config(data: bytes) -> ExtensionsGoalState:
    """The wire server's ExtensionsConfig; a handler that cannot be read is only itself invalid."""
    document = xml.parse(data, "ExtensionsConfig", "Extensions")
    incarnation = document.attr("goalStateIncarnation") or ""
    metadata = document.find("InVMGoalStateMetaData")

    def meta(name: str) -> Optional[str]:
        return metadata.attr(name) if metadata is not None else None

    profile = document.find("InVMArtifactsProfileBlob")
    profile_url = (profile.content().strip() or None) if profile is not None else None
    status_blob, blob_notes = _parse_status_blob(document)
    handlers, handler_notes = parse_handlers(document)
    return ExtensionsGoalState(
        id=f"incarnation_{incarnation}",
        source=GoalStateSource.FABRIC,
        channel=GoalStateChannel.WIRE_SERVER,
        created_on=parse_ticks(meta("createdOnTicks")),
        activity_id=meta("activityId") or ZERO_GUID,
        correlation_id=meta("correlationId") or ZERO_GUID,
        svd_seq_no=incarnation,
        on_hold=None if profile_url else False,
        artifacts_profile_url=profile_url,
        status_blob=status_blob,
        agent_families=_parse_families(document),
        required_features=_parse_features(document),
        handlers=handlers,
        notes=blob_notes + handler_notes,
    )


def parse_blob_type(word: Optional[str]) -> tuple[str, tuple[Note, ...]]:
    """The blob type, exact in case; anything else counts as a block blob, with a note."""
    if word in (BLOCK_BLOB, PAGE_BLOB):
        return word, ()
    return BLOCK_BLOB, (
        Note(f"Status blob type {shown(word or '')} is not known, {BLOCK_BLOB} is used instead"),
    )


def _parse_status_blob(document: xml.Node) -> tuple[Optional[StatusBlob], tuple[Note, ...]]:
    node = document.find("StatusUploadBlob")
    url = node.content().strip() if node is not None else ""
    if node is None or not url:
        return None, ()
    kind, notes = parse_blob_type(node.attr("statusBlobType"))
    return StatusBlob(url, kind), notes


def _parse_features(document: xml.Node) -> tuple[str, ...]:
    block = document.find("RequiredFeatures")
    nodes = block.many("RequiredFeature") if block is not None else []
    names = (node.maybe_text("Name") for node in nodes)
    return tuple(name for name in names if name)


def _parse_families(document: xml.Node) -> tuple[AgentFamily, ...]:
    block = document.find("GAFamilies")
    return tuple(
        AgentFamily(
            name=node.maybe_text("Name") or "",
            version=node.maybe_text("Version"),
            from_version=node.maybe_text("FromVersion"),
            is_version_from_rsm=_flag(node, "IsVersionFromRSM"),
            is_vm_enabled_for_rsm_upgrades=_flag(node, "IsVMEnabledForRSMUpgrades"),
            uris=tuple(
                uri for uri in (item.content().strip() for item in node.many("Uris/Uri")) if uri
            ),
        )
        for node in (block.many("GAFamily") if block is not None else [])
        if node.maybe_text("Name")
    )


def _flag(node: xml.Node, name: str) -> Optional[bool]:
    """``None`` when the element is absent; true is the word "true" in any case."""
    element = node.maybe(name)
    return None if element is None else element.content().strip().lower() == "true"
