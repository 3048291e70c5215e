"""Machines for one process's tests."""

from __future__ import annotations

import pytest

from tests.kills.machine import Stock


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    """Machines as they are before each scenario."""
    return Stock(tmp_path_factory.mktemp("kills"))
