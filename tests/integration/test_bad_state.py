"""The agent's own files, damaged by a full disk, a crash or a person: each costs only itself."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Callable

import pytest

from tests.fabric import ECHO, echo_extension
from tests.fabric.model import FAST_TRACK_ON
from tests.support.agent import RootedAgent
from waagent.core.events import Op
from waagent.protocol.saved_endpoint import find_saved

Damage = Callable[[Path], object]


def _directory(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _zeroes(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


DAMAGE: dict[str, Damage] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:7] if path.exists() else b"{"),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 64),
    "too deep": lambda path: path.write_bytes(b"[" * 200_000),
    "another type": lambda path: path.write_bytes(b'["no", "object"]'),
    "too large": lambda path: path.write_bytes(b" " * (20 << 20)),
    "a directory": _directory,
    "a pipe": _pipe,
    "a device": _zeroes,
}


@pytest.fixture
def done(plain: RootedAgent) -> RootedAgent:
    """A machine with one extension that runs."""
    plain.fabric.portal.put_extension(echo_extension(secret=None))
    plain.turn()
    assert plain.extension(ECHO)[0] == "success"
    return plain


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_file_of_the_agent_does_not_keep_it_from_starting(
    done: RootedAgent, kind: str
) -> None:
    paths = done.paths
    damaged = [paths.event_status, paths.initial_goal_state, paths.fast_track, paths.crash_note]
    for path in damaged:
        DAMAGE[kind](path)
    began = time.monotonic()
    done.start()
    done.new_status()
    assert time.monotonic() - began < 5
    assert done.extension(ECHO)[0] == "success"


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_record_of_fast_track_counts_as_written_now(done: RootedAgent, kind: str) -> None:
    done.fabric.platform.set_fast_track(FAST_TRACK_ON)
    DAMAGE[kind](done.paths.fast_track)
    done.start()
    done.new_status()
    assert done.extension(ECHO)[0] == "success"
    assert done.session.store.is_fast_track_supported


@pytest.mark.parametrize("kind", DAMAGE)
def test_handler_whose_state_is_damaged_is_installed_again(done: RootedAgent, kind: str) -> None:
    state = done.handler(ECHO) / "config" / "HandlerState"
    DAMAGE[kind](state)
    done.start()
    done.new_status()
    item = done.item(ECHO)
    if kind == "a directory":
        assert item["status"] == "NotReady"
        assert str(state) in item["formattedMessage"]["message"]
        state.rmdir()
        done.start()
        done.new_status()
    assert done.extension(ECHO)[0] == "success"
    assert state.read_text() == "Enabled"


@pytest.mark.parametrize("kind", DAMAGE)
def test_handler_whose_stored_status_is_damaged_is_told_of_and_set_right(
    done: RootedAgent, kind: str
) -> None:
    stored = done.handler(ECHO) / "config" / "HandlerStatus"
    DAMAGE[kind](stored)
    done.new_status()
    told = [e for e in done.events(Op.REPORT_STATUS) if e["Name"] == ECHO]
    reported = done.status["aggregateStatus"]["handlerAggregateStatus"]
    assert told or reported
    if kind == "a directory":
        stored.rmdir()
    done.start()
    done.new_status()
    assert done.item(ECHO)["status"] == "Ready"
    assert done.extension(ECHO)[0] == "success"


@pytest.mark.parametrize("kind", ["empty", "binary", "a directory", "a pipe", "a device"])
def test_damaged_address_of_the_fabric_means_the_known_one(done: RootedAgent, kind: str) -> None:
    done.paths.protocol.write_text("WireProtocol")
    DAMAGE[kind](done.paths.endpoint)
    assert find_saved(done.context) == "168.63.129.16"


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_protocol_file_means_that_the_fabric_is_looked_for(
    done: RootedAgent, kind: str
) -> None:
    DAMAGE[kind](done.paths.protocol)
    assert find_saved(done.context) is None
