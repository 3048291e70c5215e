"""The fabric is scripted by JSON while it runs, in process or as a command."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.client import WIRE, Client
from tests.emulator.statuses import block_headers, document, handler
from tests.fabric import Fabric
from tests.fabric.control import Control
from tests.fabric.golden import load

PROJECT = Path(__file__).parent.parent.parent
ECHO = "Fabric.Test.Echo"


def ask(address: tuple[str, int], path: str, command: Any = None) -> tuple[int, Any]:
    """GET a path, or POST a command to it."""
    connection = http.client.HTTPConnection(*address, timeout=20)
    with contextlib.closing(connection):
        if command is None:
            connection.request("GET", path)
        else:
            connection.request("POST", path, json.dumps(command))
        answer = connection.getresponse()
        text = answer.read()
    return answer.status, json.loads(text) if path != "/journal.jsonl" else text.decode()


class Room:
    """A client and the control port of its fabric."""

    def __init__(self, client: Client, control: Control) -> None:
        self.client = client
        self.control = control

    def say(self, path: str, command: Any = None) -> Any:
        """Do something that has to work."""
        status, answer = ask(self.control.address, path, command)
        assert status == 200, answer
        return answer


@pytest.fixture
def room() -> Iterator[Room]:
    """A fabric with its control port."""
    fabric = Fabric().start()
    with Control(fabric) as control:
        yield Room(Client(fabric), control)
    fabric.stop()


def test_state_says_what_is_wanted_and_what_came(room: Room) -> None:
    room.client.health("Ready")
    state = room.say("/state")
    assert state["incarnation"] == 1
    assert state["health"][0]["state"] == "Ready"
    assert state["extensions"][0]["name"] == ECHO
    assert state["address_book"]["168.63.129.16:80"][0] == "127.0.0.1"


def test_extensions_are_scripted(room: Room) -> None:
    say, vm = room.say, room.client.fabric
    other = {
        "name": "Pub.Other",
        "version": "2.0.0",
        "settings": [{"public": {"a": 1}, "level": 1, "depends_on": [{"handler": ECHO}]}],
    }
    say("/extensions", {"action": "put", "extension": other})
    assert vm.portal.find("Pub.Other").settings[0].depends_on[0].handler == ECHO
    say("/extensions", {"action": "settings", "name": ECHO, "public": {"echo": "x"}})
    assert vm.portal.find(ECHO).settings[0].seq_no == 1
    say("/extensions", {"action": "version", "name": ECHO, "version": "1.1.0"})
    assert vm.portal.find(ECHO).versions == ("1.0.0", "1.1.0")
    for action, state in (("disable", "disabled"), ("enable", "enabled"), ("remove", "uninstall")):
        say("/extensions", {"action": action, "name": ECHO})
        assert vm.portal.find(ECHO).state == state
    say("/extensions", {"action": "drop", "name": ECHO})
    assert [e["name"] for e in say("/state")["extensions"]] == ["Pub.Other"]


def test_faults_are_set_and_cleared(room: Room) -> None:
    room.say("/fault", {"endpoint": "wire.", "fault": "GONE", "count": 3})
    assert room.client.send("GET", f"{WIRE}/?comp=versions").status == 410
    assert room.say("/fault", {"clear": "*"}) == []
    assert room.client.send("GET", f"{WIRE}/?comp=versions").status == 200


def test_platform_changes_are_scripted(room: Room) -> None:
    before = room.say("/state")
    moved = room.say("/container", {"new_incarnation": False})
    assert moved["incarnation"] == before["incarnation"]
    assert moved["container_id"] != before["container_id"]
    assert room.say("/certificates", {"rotate": True}) != before["certificates"]
    assert len(room.say("/certificates", {"add": "User"})) == 3
    room.say("/users", {"users": [{"name": "jit1", "password": "x"}]})
    room.say("/vm", {"on_hold": True, "blob_type": "PageBlob", "fast_track": "fast_track"})
    package = base64.b64encode(b"bytes").decode()
    room.say("/agent", {"version": "9.9.9.1", "by_rsm": True, "package": package})
    room.say("/package", {"name": ECHO, "version": "1.0.0", "package": package})
    state = room.say("/state")
    assert (state["users"], state["on_hold"], state["blob_type"]) == (["jit1"], True, "PageBlob")
    assert state["families"][0]["version"] == "9.9.9.1"
    where = room.client.fabric.world.addresses
    assert room.client.send("GET", where.package(ECHO, "1.0.0", 0)).body == b"bytes"


def test_waiting_for_a_status_returns_its_item(room: Room) -> None:
    body = json.dumps(document(handler(seq_no=2))).encode()
    world = room.client.fabric.world
    room.client.send("PUT", world.addresses.status_blob(world.vm), block_headers(body), body)
    item = room.say("/wait", {"for": "extension", "name": ECHO, "seq_no": 2})
    assert item["handlerName"] == ECHO
    assert room.say("/wait", {"for": "requests", "endpoint": "storage.system"})


def test_waiting_in_vain_is_a_gateway_timeout(room: Room) -> None:
    status, answer = ask(room.control.address, "/wait", {"for": "ready", "within_s": 0.01})
    assert status == 504
    assert "to report Ready" in answer["error"]


def test_journal_is_read_from_a_number_on_and_as_a_recording(room: Room, tmp_path: Path) -> None:
    room.client.send("GET", f"{WIRE}/?comp=versions")
    room.client.goal_state()
    assert [e["endpoint"] for e in room.say("/journal?since=1")] == ["wire.goalstate"]
    assert len(room.say("/journal?endpoint=wire.versions")) == 1
    text = ask(room.control.address, "/journal.jsonl")[1]
    (tmp_path / "some.jsonl").write_text(text)
    assert [r["endpoint"] for r in load(tmp_path / "some.jsonl")] == [
        "wire.versions",
        "wire.goalstate",
    ]


@pytest.mark.parametrize(
    ("path", "command", "status", "says"),
    [
        ("/nothing", None, 404, "cannot GET /nothing"),
        ("/fault", {"endpoint": "wire.", "fault": "BAD_LUCK"}, 400, "BAD_LUCK"),
        ("/extensions", {"action": "dance"}, 400, "cannot do 'dance'"),
        ("/extensions", {"action": "disable", "name": "Nobody"}, 400, "Nobody"),
        ("/container", {"colour": "red"}, 400, "colour"),
        ("/users", [], 400, "no JSON object"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused_with_the_reason(
    room: Room, path: str, command: Any, status: int, says: str
) -> None:
    found, answer = ask(room.control.address, path, command)
    assert found == status
    assert says in answer["error"]


def test_the_command_tells_its_story_and_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    state = tmp_path / "fabric.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fabric", "--story", "--state", str(state)],
        cwd=PROJECT,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        assert started == json.loads(state.read_text())
        host, port = started["control"].split(":")
        wire = next(iter(started["address_book"].values()))
        connection = http.client.HTTPConnection(wire[0], wire[1], timeout=10)
        with contextlib.closing(connection):
            connection.request(
                "GET", "/machine/?comp=goalstate", headers={"x-ms-version": "2012-11-30"}
            )
            goal = connection.getresponse().read().decode()
        assert f"http://{wire[0]}:{wire[1]}/machine/" in goal
        assert ask((host, int(port)), "/violations") == (200, [])
        process.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in process.stdout]
    assert process.returncode == 0
    assert lines[0]["text"] == "The guest fetches the goal state"
    assert lines[-1]["event"] == "stopped"
    assert lines[-1]["violations"] == []
