"""The agent's logger lets everything through, as in a process; what a test starts is ended."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.unit.extensions.processes import KeepingRunner, await_exit


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """And is as before after the test."""
    logger = logging.getLogger("waagent")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    yield
    logger.setLevel(before)


@pytest.fixture
def keeping() -> Iterator[KeepingRunner]:
    """A runner whose children are gone after the test."""
    runner = KeepingRunner()
    yield runner
    for child in runner.children:
        child.kill_group()
        await_exit(child)
