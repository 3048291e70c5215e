"""The machine of these checks, once it is sure that it may be changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.remoteaccess.lender import Lender


@pytest.fixture
def lender(tmp_path: Path) -> Iterator[Lender]:
    """The agent's part, on the copy; it takes all accounts back in the end."""
    assert Path("/waagent-throwaway").exists(), "this must only run inside test_users_real"
    one = Lender(tmp_path)
    yield one
    one.start().apply(None)
