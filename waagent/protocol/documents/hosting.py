"""HostingEnvironmentConfig: three names that telemetry wants (spec WIRE 3.6)."""

from __future__ import annotations

from typing import Optional

from waagent.core import xml
from waagent.core.records import dataclass


@dataclass(frozen=True)
class HostingEnvironment:
    """``None`` where the document has no such element, as current fabrics send it."""

    vm_name: Optional[str]
    role_name: Optional[str]
    deployment_name: Optional[str]


def parse_hosting_environment(data: bytes) -> HostingEnvironment:
    """The hosting environment document."""
    document = xml.parse(data, "HostingEnvironmentConfig", "HostingEnvironmentConfig")

    def attribute(element: str, name: str) -> Optional[str]:
        node = document.find(element)
        return node.attr(name) if node is not None else None

    return HostingEnvironment(
        vm_name=attribute("Incarnation", "instance"),
        role_name=attribute("Role", "name"),
        deployment_name=attribute("Deployment", "name"),
    )
