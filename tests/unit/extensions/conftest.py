"""The agent's logger lets everything through, as it does once a process has set it up."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """And is as before after the test."""
    logger = logging.getLogger("waagent")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    yield
    logger.setLevel(before)
