"""What the checks share that run on a copy of a machine; see ``test_guest_real``."""

from __future__ import annotations

from pathlib import Path

import pytest

from waagent.core.system import System, real_system
from waagent.guest import users

USER = "azuinside"


@pytest.fixture(scope="session")
def system() -> System:
    """The machine, once it is sure that it may be changed."""
    assert Path("/waagent-throwaway").exists(), "this must only run inside test_guest_real"
    return real_system()


@pytest.fixture(scope="session")
def user(system: System) -> str:
    """An account that was made by the agent."""
    assert users.ensure_user(system, USER)
    return USER
