"""A fabric that must stay clean, and the agent of a machine in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fabric import Fabric, Vm
from tests.support.agent import RootedAgent


@pytest.fixture
def fabric() -> Iterator[Fabric]:
    """A machine with the echo extension; a break of the protocol fails the test."""
    with Fabric() as running:
        yield running


@pytest.fixture
def bare_fabric() -> Iterator[Fabric]:
    """A machine without extensions."""
    with Fabric(Vm()) as running:
        yield running


@pytest.fixture
def plain_fabric() -> Iterator[Fabric]:
    """A machine with neither extensions nor certificates: opening those takes its time."""
    with Fabric(Vm(has_certificates=False)) as running:
        yield running


@pytest.fixture
def agent(fabric: Fabric, tmp_path: Path) -> RootedAgent:
    """The agent of the machine with the extension, which runs and is reported."""
    one = RootedAgent(tmp_path, fabric).start()
    one.turn()
    return one


@pytest.fixture
def bare(bare_fabric: Fabric, tmp_path: Path) -> RootedAgent:
    """The agent of the machine without extensions, after its first turn."""
    one = RootedAgent(tmp_path, bare_fabric).start()
    one.turn()
    return one


@pytest.fixture
def plain(plain_fabric: Fabric, tmp_path: Path) -> RootedAgent:
    """The agent of the machine with neither extensions nor certificates, after its first turn."""
    one = RootedAgent(tmp_path, plain_fabric).start()
    one.turn()
    return one
