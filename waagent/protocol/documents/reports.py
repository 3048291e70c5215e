"""The health report of provisioning, as the portal waits for it (spec WIRE 8.1).

Only the document; when to send which is provisioning's work.
"""

from __future__ import annotations

from typing import Optional

from waagent.core.redact import redact
from waagent.core.xml import escape
from waagent.protocol.documents.xml_text import xml_text

READY = "Ready"
NOT_READY = "NotReady"
PROVISIONING = "Provisioning"
PROVISIONING_FAILED = "ProvisioningFailed"

# The server takes 4096 bytes; the cut in characters leaves room for what escaping adds.
MAX_DESCRIPTION = 3686
MAX_DESCRIPTION_BYTES = 4096


def render_health(
    incarnation: str,
    container_id: str,
    instance_id: str,
    state: str,
    substatus: Optional[str] = None,
    *,
    description: Optional[str] = None,
) -> bytes:
    """The report on one line; details are there exactly when there is a sub-status."""
    details = ""
    if substatus is not None:
        text = _cut(redact(description or ""))
        details = (
            f"<Details><SubStatus>{_text(substatus)}</SubStatus>"
            f"<Description>{escape(text)}</Description></Details>"
        )
    document = (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<Health xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xmlns:xsd="http://www.w3.org/2001/XMLSchema">'
        f"<GoalStateIncarnation>{_text(incarnation)}</GoalStateIncarnation>"
        f"<Container><ContainerId>{_text(container_id)}</ContainerId>"
        f"<RoleInstanceList><Role><InstanceId>{_text(instance_id)}</InstanceId>"
        f"<Health><State>{_text(state)}</State>{details}</Health>"
        "</Role></RoleInstanceList></Container></Health>"
    )
    return document.encode("utf-8")


def _cut(text: str) -> str:
    short = xml_text(text[:MAX_DESCRIPTION]).encode("utf-8")
    return short[:MAX_DESCRIPTION_BYTES].decode("utf-8", "ignore")


def _text(text: str) -> str:
    return escape(xml_text(text))
