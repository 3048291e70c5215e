"""What provisioning needs of the fabric: that it is found, once there is something to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # it brings what speaks to the fabric, which is imported while keys are made
    from waagent.protocol.session import Session


class Fabric(Protocol):
    """The search for the fabric."""

    def prepare(self) -> None:
        """Begin with what takes its time and can be done before anything else is known."""

    def connect(self) -> Session:
        """Find the fabric and fetch its goal state, which may take an hour."""
