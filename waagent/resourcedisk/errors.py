"""What may go wrong with the resource disk; it never stops the boot."""

from __future__ import annotations

from waagent.core.errors import AgentError


class ResourceDiskError(AgentError):
    """The resource disk cannot be used, and why; the text has the remedy."""

    label = "ResourceDiskError"
