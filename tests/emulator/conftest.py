"""A fabric for each test: one that must stay clean, one that may be wronged."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.emulator.cable import Wire
from tests.emulator.client import Client
from tests.fabric import Fabric


@pytest.fixture
def client() -> Iterator[Client]:
    """A client of a fabric that fails the test on any violation."""
    with Fabric() as fabric:
        yield Client(fabric)


@pytest.fixture
def offender() -> Iterator[Client]:
    """A client of a fabric that only records what is wrong."""
    fabric = Fabric().start()
    yield Client(fabric)
    fabric.stop()


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Two networks."""
    with contextlib.closing(Wire()) as made:
        yield made
