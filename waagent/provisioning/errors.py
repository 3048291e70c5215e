"""What ends a provisioning attempt; it becomes NotReady with its text."""

from __future__ import annotations

from waagent.core.errors import AgentError


class ProvisioningError(AgentError):
    """This machine cannot be set up as the media asks; the next daemon start tries again."""

    label = "ProvisionError"
