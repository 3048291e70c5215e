"""Manifests of extensions and of the agent itself: versions and where to get them (WIRE 3.9)."""

from __future__ import annotations

from typing import Optional

from waagent.core import xml
from waagent.core.records import dataclass
from waagent.core.version import Version
from waagent.protocol.documents.names import shown


@dataclass(frozen=True)
class Package:
    """One version; ``uris`` may be empty, ``is_internal`` ones are never chosen by default."""

    version: str
    uris: tuple[str, ...]
    is_internal: bool = False
    disallow_major_upgrade: bool = False


@dataclass(frozen=True)
class Manifest:
    """All packages in document order; ``notes`` says which entries could not be used."""

    packages: tuple[Package, ...]
    notes: tuple[str, ...] = ()


def parse_manifest(data: bytes) -> Manifest:
    """A manifest; entries whose version is none are left out, with a note."""
    document = xml.parse(data, "the manifest", "PluginVersionManifest")
    packages: list[Package] = []
    notes: list[str] = []
    for path, is_internal in (("Plugins/Plugin", False), ("InternalPlugins/Plugin", True)):
        for node in document.many(path):
            package = _parse_package(node, is_internal)
            if package is None:
                version = node.maybe_text("Version") or ""
                notes.append(f"Left out a package whose version is {shown(version)}")
            else:
                packages.append(package)
    return Manifest(tuple(packages), tuple(notes))


def _parse_package(node: xml.Node, is_internal: bool) -> Optional[Package]:
    try:
        version = Version(node.maybe_text("Version") or "")
    except ValueError:
        return None
    uris = (uri.content().strip() for uri in node.many("Uris/Uri"))
    disallow = node.maybe_text("DisallowMajorVersionUpgrade") or ""
    return Package(
        version=version.text,
        uris=tuple(uri for uri in uris if uri),
        is_internal=is_internal,
        disallow_major_upgrade=disallow.lower() == "true",
    )
