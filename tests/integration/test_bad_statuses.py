"""What extensions leave behind, damaged or hostile: statuses, heartbeats, events.

The report says whose file it is and what is wrong with it, and goes out in every turn.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Callable

import pytest

from tests.fabric import ECHO, Fabric, Vm, echo_extension
from tests.fabric.faults import SPOIL, Fault
from tests.integration.bad_statuses import (
    BAD_FILES,
    HALF,
    WILD,
    Plant,
    content,
    link_to,
    planted,
)
from tests.support.agent import RootedAgent
from waagent.core.events import Op
from waagent.core.workers import Worker
from waagent.monitor.collect import THREAD

OTHER = "Fabric.Test.Other"
LARGEST_STATUS = 160_000
SOON_S = 5.0
LARGEST_WITH_SUBSTATUSES = 2 << 20  # ten thousand of them


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RootedAgent]:
    """The agent of a machine without certificates, with two extensions that have succeeded."""
    with Fabric(Vm(has_certificates=False)) as fabric:
        fabric.portal.put_extension(echo_extension(secret=None))
        fabric.portal.put_extension(echo_extension(OTHER, echo="other", secret=None))
        one = RootedAgent(tmp_path_factory.mktemp("machine"), fabric).start()
        one.turn()
        assert one.extension(ECHO)[0] == one.extension(OTHER)[0] == "success"
        yield one


@pytest.fixture
def agent(shared: RootedAgent) -> RootedAgent:
    """That agent half an hour after the last test, all of which leave it as it was."""
    shared.let_pass(1800)
    shared.manual.set_wall_time(datetime.now(timezone.utc))  # files have their time from the system
    for path in shared.paths.events.glob("*.tld"):
        path.unlink()
    return shared


def status_file(agent: RootedAgent) -> Path:
    """The status of the extension that things are done to."""
    return agent.handler(ECHO) / "status" / "0.status"


@pytest.mark.parametrize("kind", BAD_FILES)
def test_status_that_cannot_be_used_is_reported_as_such_and_stops_nothing(
    agent: RootedAgent, kind: str
) -> None:
    plant, code, why = BAD_FILES[kind]
    with planted(status_file(agent), plant):
        began = time.monotonic()
        document = agent.new_status()
        assert time.monotonic() - began < SOON_S
        assert len(json.dumps(document)) < LARGEST_STATUS
        word, said_code, message = agent.extension(ECHO)
        assert (word, said_code) == ("error" if code else "transitioning", code), message
        assert any(each in message for each in why.split("|")), message
        assert ECHO in message
        assert agent.extension(OTHER)[0] == "success"
        agent.turn()
        told = [event for event in agent.events(Op.STATUS_PROCESSING) if event["Name"] == ECHO]
        assert [event["OperationSuccess"] for event in told] == [False], "and not in every turn"
        assert any(each in told[0]["Message"] for each in why.split("|"))
    agent.new_status()
    assert agent.extension(ECHO)[0] == "success"


@pytest.mark.parametrize("kind", WILD)
def test_wild_status_is_reported_within_bounds(agent: RootedAgent, kind: str) -> None:
    with planted(status_file(agent), content(WILD[kind])):
        document = agent.new_status()
        assert agent.extension(ECHO)[0] == "success"
        assert agent.extension(OTHER)[0] == "success"
        assert len(json.dumps(document["aggregateStatus"])) < LARGEST_WITH_SUBSTATUSES
        kept = max(agent.paths.history.rglob("waagent_status.json"))
        assert json.loads(kept.read_bytes()) == document


def test_statuses_nobody_may_read_are_reported_and_the_other_handlers_are_whole(
    agent: RootedAgent,
) -> None:
    folder = agent.handler(ECHO) / "status"
    aside = agent.handler(ECHO) / "aside"
    folder.rename(aside)
    folder.write_text("a file in place of the folder")
    agent.new_status()
    word, _, message = agent.extension(ECHO)
    assert word in ("error", "transitioning")
    assert str(folder) in message
    assert agent.extension(OTHER)[0] == "success"
    folder.unlink()
    aside.rename(folder)
    agent.new_status()
    assert agent.extension(ECHO)[0] == "success"


STORED: dict[str, Plant] = {
    "garbage": content(b"{garbage"),
    "another type": content(b"[]"),
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "a device": link_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", STORED)
def test_stored_status_that_cannot_be_read_leaves_out_only_its_handler(
    agent: RootedAgent, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    agent.fabric.platform.change()
    agent.turn()  # it is told once for each goal state
    with planted(agent.handler(ECHO) / "config" / "HandlerStatus", STORED[kind]):
        agent.new_status()
        assert agent.extension(OTHER)[0] == "success"
        (said,) = (text for text in caplog.messages if text.startswith(f"Cannot report {ECHO}: "))
        assert "HandlerStatus" in said
    agent.new_status()
    assert agent.extension(ECHO)[0] == "success"


def test_handler_that_cannot_be_reported_is_told_of_by_an_event(tmp_path: Path) -> None:
    with Fabric(Vm(has_certificates=False)) as fabric:
        fabric.portal.put_extension(echo_extension(secret=None))
        agent = RootedAgent(tmp_path, fabric).start()
        agent.turn()
        with planted(agent.handler(ECHO) / "config" / "HandlerStatus", content(b"{garbage")):
            agent.turn(2)
        (said,) = agent.events(Op.REPORT_STATUS)
        assert said["Message"].startswith(f"Cannot report {ECHO}: cannot read HandlerStatus: ")
        assert said["Name"] == ECHO


BEATS: dict[str, tuple[Plant, str]] = {
    "garbage": (content(b"beat"), "Malformed heartbeat file"),
    "deep": (content(b"[" * 200_000), "Malformed heartbeat file"),
    "invalid UTF-8": (content(b'[{"heartbeat": "\xff"}]'), "Malformed heartbeat file"),
    "no heartbeat": (content(b'[{"status": 1}]'), "Malformed heartbeat file"),
    "a word": (content(b'[{"heartbeat": "ready"}]'), "Malformed heartbeat file"),
    "larger than any": (content(b" " * (17 << 20)), "heartbeat"),
    "a pipe": (os.mkfifo, "heartbeat"),
    "a folder": (Path.mkdir, "heartbeat"),
    "a link to itself": (link_to("heartbeat.log"), "heartbeat"),
}


GOOD_BEAT = (
    b'[{"version": 1.0, "heartbeat": {"status": "Ready", "code": 0,'
    b' "formattedMessage": {"lang": "en-US", "message": "beats"}}}]'
)


@pytest.mark.parametrize("kind", BEATS)
def test_heartbeat_that_cannot_be_read_is_reported_and_stops_nothing(
    agent: RootedAgent, kind: str
) -> None:
    plant, why = BEATS[kind]
    manifest = agent.handler(ECHO) / "HandlerManifest.json"
    told = manifest.read_text().replace('"reportHeartbeat": false', '"reportHeartbeat": true')
    beat = agent.handler(ECHO) / "heartbeat.log"
    with planted(manifest, content(told.encode())):
        with planted(beat, plant):
            began = time.monotonic()
            agent.turn()
            agent.new_status()
            assert time.monotonic() - began < SOON_S
            item = agent.item(ECHO)
            assert item["status"] == "NotReady"
            assert why in item["formattedMessage"]["message"]
            assert agent.extension(ECHO)[0] == "success", "that is the extension's own word"
            assert agent.item(OTHER)["status"] == "Ready"
        with planted(beat, content(GOOD_BEAT)):
            agent.new_status()
            assert agent.item(ECHO)["status"] == "Ready"
            assert agent.item(ECHO)["formattedMessage"]["message"] == "beats"


EVENT = {
    "Version": "1.0.0", "Timestamp": "2026-01-31T10:11:12.000Z", "TaskName": "t",
    "EventLevel": "Error", "Message": "the good one", "EventPid": "1", "EventTid": "2",
    "OperationId": "3",
}  # fmt: skip
EVENT_FILES: dict[str, Plant] = {
    "1.json": content(b"garbage"),
    "2.json": content(b"[" * 200_000),
    "3.json": content(b"\xff\xfe\x00"),
    "4.json": content(b" " * (5 << 20)),
    "5.json": os.mkfifo,
    "6.json": link_to("/dev/zero"),
    "7.json": link_to("/etc/shadow"),
    "8.json": content(json.dumps([7, None, [], {"Message": 1}]).encode()),
    "9.json": content(json.dumps({**EVENT, "Message": "m" * 100_000}).encode()),
    "10.json": content(json.dumps({**EVENT, "Message": HALF}).encode()),
    "..hidden.json": content(b"{}"),
    "11.json": content(json.dumps(EVENT).encode()),
}


def test_hostile_event_files_are_told_of_by_name_removed_and_the_good_ones_sent(
    agent: RootedAgent,
) -> None:
    folder = agent.root / "var" / "log" / "azure" / ECHO / "events"
    for name, plant in EVENT_FILES.items():
        plant(folder / name)
    (folder / "12.json").mkdir()
    collector, send = telemetry(agent)
    for _ in range(3):
        assert collector.turn()
    assert [path.name for path in folder.iterdir()] == ["12.json"]
    (folder / "12.json").rmdir()
    for _ in range(3):
        send()
        assert collector.turn()
    received = agent.fabric.world.received.events
    texts = [json.dumps(event) for event in received]
    assert any("the good one" in text for text in texts)
    for name in ("1.json", "2.json", "3.json", "4.json", "5.json", "6.json", "7.json"):
        told = f"Skipping the event file {name} of {ECHO}"
        assert any(told in text for text in texts), name
    assert any(f"Dropped events for Extension: {ECHO}" in text for text in texts)
    assert not any("root:" in text for text in texts)
    agent.new_status()
    assert agent.extension(ECHO)[0] == "success"


def telemetry(agent: RootedAgent) -> tuple[Worker, Callable[[], None]]:
    """What collects events and what sends them, not as threads."""
    (collector,) = (each for each in agent.process.monitor.workers if each.name == THREAD)
    return collector, agent.process.monitor.sender.send


def test_events_folder_that_is_a_link_is_not_followed_and_the_next_handlers_are_served(
    agent: RootedAgent,
) -> None:
    logs = agent.root / "var" / "log" / "azure"
    (logs / ECHO / "events").rmdir()
    precious = agent.root / "precious"
    precious.mkdir()
    (precious / "1.json").write_text(json.dumps({**EVENT, "Message": "not an extension's"}))
    (logs / ECHO / "events").symlink_to(precious)
    (logs / OTHER / "events" / "1.json").write_text(json.dumps(EVENT))
    collector, send = telemetry(agent)
    for _ in range(3):
        assert collector.turn()
        send()
    texts = [json.dumps(event) for event in agent.fabric.world.received.events]
    assert any("the good one" in text for text in texts)
    assert not any("not an extension's" in text for text in texts)
    assert (precious / "1.json").exists()
    (logs / ECHO / "events").unlink()
    (logs / ECHO / "events").mkdir()


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 100_000, b"[]", b"7", b'{"onHold": {}}'])
def test_artifacts_profile_that_cannot_be_read_is_told_of_and_holds_nothing(
    agent: RootedAgent, body: bytes
) -> None:
    agent.fabric.fault("storage.system", Fault("PROFILE", SPOIL, body=body), 1)
    agent.fabric.portal.update_settings(ECHO, {"echo": "not held"})
    agent.new_status()
    assert "echo=not held" in agent.extension(ECHO)[2]
    told = agent.events(Op.ARTIFACTS_PROFILE)
    assert [event["OperationSuccess"] for event in told] in ([False], [])
    assert bool(told) == (body != b"")
    assert all("artifacts profile" in event["Message"] for event in told)
