"""Requests that end because the agent is told to stop: nobody is blamed, nothing else is tried."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest

from tests.support.transport import answers, stopped
from tests.unit.protocol.world import ARTIFACT, GOAL_STATE, STATUS, VERSIONS, Script, World
from waagent.core.errors import RequestStopped
from waagent.core.events import Op
from waagent.protocol.documents.extensions import StatusBlob
from waagent.protocol.session import Session

MIRRORS = ("https://one.example/m.xml", "https://two.example/m.xml")
BLOB = "https://one.example/vm.status"
TOLD = (Op.HTTP_GET, Op.REPORT_STATUS, Op.HOST_PLUGIN, Op.DEFAULT_CHANNEL_CHANGE, Op.VM_SETTINGS)

ENDS: dict[str, tuple[Script, Callable[[Session], object]]] = {
    "a document": (
        {("GET", "http://168.63.129.16/d"): stopped()},
        lambda s: s.wire.fetch_document("http://168.63.129.16/d"),
    ),
    "a download": (
        {("GET", uri): stopped() for uri in MIRRORS},
        lambda s: s.channels.fetch_text(MIRRORS, "a manifest"),
    ),
    "a download through the host": (
        {**{("GET", uri): answers(404) for uri in MIRRORS}, ARTIFACT: stopped()},
        lambda s: s.channels.fetch_text(MIRRORS[:1], "a manifest"),
    ),
    "a status": (
        {STATUS: stopped()},
        lambda s: s.uploader.put(StatusBlob(BLOB, "BlockBlob"), b"{}"),
    ),
    "a status on the other way": (
        {STATUS: answers(404), ("PUT", BLOB): stopped()},
        lambda s: s.uploader.put(StatusBlob(BLOB, "BlockBlob"), b"{}"),
    ),
    "the plugin's versions": ({VERSIONS: stopped()}, lambda s: s.host.ensure_available()),
    "who we are": ({GOAL_STATE: stopped()}, lambda s: s.host.identity),
}


@pytest.mark.parametrize(("script", "do"), ENDS.values(), ids=ENDS.keys())
def test_stop_ends_it_and_nothing_else_is_tried(
    tmp_path: Path, script: Script, do: Callable[[Session], object]
) -> None:
    """Neither another attempt, nor another mirror, nor another way."""
    world = World(tmp_path, script)
    with pytest.raises(RequestStopped):
        do(world.session)
    stops = [key for key, reply in script.items() if isinstance(reply, RequestStopped)]
    assert sum(world.asked(key) for key in stops) == 1
    assert world.clock.waits == []


def test_stop_of_a_status_is_no_failure_of_the_host(tmp_path: Path) -> None:
    """The fabric hears of none."""
    world = World(tmp_path, {STATUS: stopped()})
    with pytest.raises(RequestStopped):
        world.session.uploader.put(StatusBlob(BLOB, "BlockBlob"), b"{}")
    assert [world.events(op) for op in TOLD] == [[]] * len(TOLD)
    assert world.observations("GuestAgentPluginStatus") == []
