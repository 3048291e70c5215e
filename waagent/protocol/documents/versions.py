"""The wire server's list of protocol versions (spec WIRE 2.1)."""

from __future__ import annotations

from typing import Optional

from waagent.core import xml
from waagent.core.records import dataclass


@dataclass(frozen=True)
class Versions:
    """What the fabric prefers and what else it speaks; either may be missing."""

    preferred: Optional[str]
    supported: tuple[str, ...]

    def accepts(self, version: str) -> bool:
        """Whether the version is preferred or supported; real answers may list it in one only."""
        return version == self.preferred or version in self.supported


def parse_versions(data: bytes) -> Versions:
    """The versions document."""
    document = xml.parse(data, "the versions document", "Versions")
    supported = [node.content().strip() for node in document.many("Supported/Version")]
    return Versions(
        preferred=document.maybe_text("Preferred/Version"),
        supported=tuple(version for version in supported if version),
    )
