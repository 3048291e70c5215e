"""A fabric for each test; a break of the protocol fails it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fabric import Fabric
from tests.support.new_machine import plain_vm


@pytest.fixture
def fabric() -> Iterator[Fabric]:
    """A fabric that delivers no certificates."""
    with Fabric(plain_vm()) as running:
        yield running
