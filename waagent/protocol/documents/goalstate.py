"""The goal state: which VM this is and where its documents are (spec WIRE 3.1).

Not the documents themselves, and not when they are fetched.
"""

from __future__ import annotations

from typing import Optional

from waagent.core import xml
from waagent.core.records import dataclass, replace
from waagent.core.remembered import remembered
from waagent.protocol.documents.names import is_one_line, is_plain_name, shown


@dataclass(frozen=True)
class GoalState:
    """One answer to ``comp=goalstate``; what is absent is ``None``.

    A goal state without a role instance is legal but incomplete: the fabric is still preparing
    it, and it is asked for again. Then everything of the role instance is ``None``.
    """

    incarnation: str
    container_id: str
    role_instance_id: Optional[str] = None
    config_name: Optional[str] = None
    hosting_environment_url: Optional[str] = None
    shared_config_url: Optional[str] = None
    extensions_config_url: Optional[str] = None
    certificates_url: Optional[str] = None
    remote_access_url: Optional[str] = None

    @property
    def is_complete(self) -> bool:
        """Whether there is a role instance."""
        return self.role_instance_id is not None

    @property
    def deployment_id(self) -> Optional[str]:
        """The first part of the config name, as the HostPlugin wants it for logs."""
        return self.config_name.split(".")[0] if self.config_name else None


@remembered(1)
def parse_goal_state(data: bytes) -> GoalState:
    """The goal state; of several elements of one name the first in the document counts."""
    document = xml.parse(data, "the goal state", "GoalState")
    incarnation = document.text("Incarnation")
    if not is_plain_name(incarnation):  # it becomes part of file names
        raise document.error(f"{shown(incarnation)} cannot be an incarnation")
    container = document.one("Container")
    goal = GoalState(
        incarnation=incarnation,
        container_id=_required(container, "ContainerId"),
        remote_access_url=_optional(container, "RemoteAccessInfo"),
    )
    role = container.maybe("RoleInstanceList/RoleInstance")
    if role is None:
        return goal
    return replace(
        goal,
        role_instance_id=_required(role, "InstanceId"),
        config_name=_optional(role, "Configuration/ConfigName"),
        hosting_environment_url=_required(role, "Configuration/HostingEnvironmentConfig"),
        shared_config_url=_required(role, "Configuration/SharedConfig"),
        extensions_config_url=_optional(role, "Configuration/ExtensionsConfig"),
        certificates_url=_optional(role, "Configuration/Certificates"),
    )


def _optional(node: xml.Node, path: str) -> Optional[str]:
    text = node.maybe_text(path)
    if text is not None and not is_one_line(text):  # all of these go into requests
        raise node.error(f'"{path}" holds control characters')
    return text


def _required(node: xml.Node, path: str) -> str:
    text = _optional(node, path)
    if text is None:
        raise node.error(f'"{path}" is missing or empty')
    return text
