"""Our standing with the host: who we are, whether its plugin can be used (WIRE 3.1, 6.1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.transport import Reply, answers, no_answer
from tests.unit.protocol.world import (
    ARTIFACT,
    GOAL_STATE,
    VERSIONS,
    World,
    goal_state,
)
from waagent.core.errors import HttpError
from waagent.core.events import Op
from waagent.protocol.errors import ProtocolFault
from waagent.protocol.hostplugin import HostIdentity

GUID_ZERO = "00000000-0000-0000-0000-000000000000"
SIX_HOURS = 6 * 3600
MOVED = [answers(200, goal_state("old")), answers(200, goal_state("new"))]


def test_identity_is_learned_by_one_goal_state_request_and_kept(tmp_path: Path) -> None:
    world = World(tmp_path, {})
    expected = HostIdentity("container-1", "deployment.container-1.xml")
    assert world.session.host.identity == expected
    assert world.session.host.identity == expected
    assert world.asked(GOAL_STATE) == 1


def test_every_goal_state_tells_who_we_are(tmp_path: Path) -> None:
    world = World(tmp_path, {GOAL_STATE: MOVED})
    assert world.context.events.common.container_id == GUID_ZERO
    assert world.session.host.identity.container_id == "old"
    world.session.host.refresh()
    assert world.session.host.identity.container_id == "new"
    assert world.context.events.common.container_id == "new"


def test_plugin_that_speaks_our_version_is_asked_once(tmp_path: Path) -> None:
    world = World(tmp_path, {})
    world.session.host.ensure_available()
    world.session.host.ensure_available()
    assert world.asked(VERSIONS) == 1
    assert world.headers(VERSIONS) == {"x-ms-containerid": "container-1"}
    assert world.events(Op.INITIALIZE_HOST_PLUGIN) == [(True, "")]
    assert world.observations("GuestAgentPluginVersions") == [(True, "")]


@pytest.mark.parametrize(
    ("reply", "is_healthy", "value"),
    [
        (answers(200, b'["2099-01-01"]'), True, ""),
        (answers(404, b"no", reason="Not Found"), True, "[HTTP Failed] [404: Not Found] b'no'"),
        (answers(505, b"", reason="What"), False, "[HTTP Failed] [505: What] b''"),
        (answers(500), False, ""),
        (answers(502), False, ""),
        (answers(429), False, ""),
        (answers(410), False, ""),
        (no_answer(VERSIONS[1]), False, ""),
    ],
    ids=["another version", "404", "505", "500", "502", "429", "410", "silence"],
)
def test_plugin_that_cannot_be_used_is_asked_at_each_use(
    tmp_path: Path, reply: Reply, is_healthy: bool, value: str
) -> None:
    world = World(tmp_path, {VERSIONS: reply})
    for _ in range(2):
        with pytest.raises(ProtocolFault, match="not available"):
            world.session.host.ensure_available()
    assert world.events(Op.INITIALIZE_HOST_PLUGIN) == [(False, "")] * 2
    assert world.observations("GuestAgentPluginVersions") == [(is_healthy, value)] * 2


def test_request_is_repeated_once_as_who_we_are_now(tmp_path: Path) -> None:
    world = World(tmp_path, {GOAL_STATE: MOVED, ARTIFACT: [answers(410), answers(200, b"content")]})
    plugin = world.session.host.plugin
    response = world.session.host.with_identity(lambda who: plugin.fetch_artifact(who, "http://u"))
    assert response.body == b"content"
    assert world.headers(ARTIFACT, 0)["x-ms-containerid"] == "old"
    assert world.headers(ARTIFACT, 1)["x-ms-containerid"] == "new"
    assert world.headers(ARTIFACT, 1)["x-ms-host-config-name"] == "deployment.new.xml"
    assert [success for success, _ in world.events(Op.HOST_PLUGIN)] == [True]


def test_request_is_not_repeated_twice_and_that_is_told_once_in_six_hours(tmp_path: Path) -> None:
    world = World(tmp_path, {ARTIFACT: answers(410)})
    host = world.session.host

    def ask() -> None:
        with pytest.raises(HttpError):
            host.with_identity(lambda who: host.plugin.fetch_artifact(who, "http://u"))

    ask()
    assert world.asked(ARTIFACT) == 2
    ask()
    assert [success for success, _ in world.events(Op.HOST_PLUGIN)] == [False]
    world.clock.advance(SIX_HOURS)
    ask()
    assert len(world.events(Op.HOST_PLUGIN)) == 2


def test_other_refusals_are_not_repeated(tmp_path: Path) -> None:
    world = World(tmp_path, {ARTIFACT: answers(404)})
    host = world.session.host
    with pytest.raises(HttpError):
        host.with_identity(lambda who: host.plugin.fetch_artifact(who, "http://u"))
    assert world.asked(ARTIFACT) == 1
    assert world.events(Op.HOST_PLUGIN) == []
