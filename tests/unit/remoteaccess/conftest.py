"""A machine in a folder, with the agent's just-in-time users."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.remoteaccess.lent import Lent


@pytest.fixture
def lent(tmp_path: Path) -> Lent:
    """The machine; nobody is lent an account yet."""
    return Lent(tmp_path)
