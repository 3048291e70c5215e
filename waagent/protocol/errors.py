"""Errors of the fabric's side that callers treat differently from others."""

from __future__ import annotations

from waagent.core.errors import AgentError, HttpStatus


class StaleGoalState(HttpStatus):
    """410, or 400 naming an invalid container: refresh the goal state and try once more."""

    label = "ResourceGoneError"


class InvalidContainer(StaleGoalState):
    """The 400: the host knows nothing of our container. For a status the other way is taken."""

    label = "InvalidContainerError"


class Throttled(HttpStatus):
    """403, 429 or 503: we ask too often, or the fabric is too busy."""


class EndpointNotFound(AgentError):
    """No wire server answers, or none that speaks our version."""

    label = "ProtocolNotFoundError"


class ProtocolFault(AgentError):
    """A conversation with the fabric failed; the next turn tries again."""

    label = "ProtocolError"


class UploadUriMissing(AgentError):
    """The goal state names no blob for the status."""

    label = "ProtocolNotFoundError"
