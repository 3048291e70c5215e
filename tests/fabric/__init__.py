"""An Azure fabric for one machine, in process or as a command; it imports nothing of the agent."""

from __future__ import annotations

from tests.fabric.emulator import Fabric
from tests.fabric.model import (
    ECHO,
    AgentFamily,
    Dependency,
    Extension,
    JitUser,
    Settings,
    Vm,
    echo_extension,
    first_boot,
)

__all__ = [
    "ECHO",
    "AgentFamily",
    "Dependency",
    "Extension",
    "Fabric",
    "JitUser",
    "Settings",
    "Vm",
    "echo_extension",
    "first_boot",
]
