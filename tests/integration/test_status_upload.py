"""The status blob on its way: block and page blobs, through the host or direct.

The emulator checks each request to the byte: sizes, ranges, padding, headers and the JSON inside.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.fabric import Fabric, Vm
from tests.fabric.faults import REFUSE, Fault
from tests.fabric.model import BLOCK_BLOB, PAGE_BLOB
from tests.support.agent import RootedAgent
from waagent.core.events import Op

DEFAULT_ATTEMPTS = 6
THROTTLED_ATTEMPTS = 25
STRANGE = Fault("STRANGE", REFUSE, 505, b"strange")  # an answer that is taken as it comes


def through_host(agent: RootedAgent, since: int = 0) -> int:
    """How many storage requests the host made for us."""
    return agent.requests("hgap.status", since)


def direct(agent: RootedAgent, since: int = 0) -> int:
    """How many requests went to storage itself to write the status."""
    puts = agent.fabric.journal.entries("storage.system", since)
    return sum(1 for entry in puts if entry.method == "PUT")


@pytest.mark.parametrize(("kind", "requests"), [(BLOCK_BLOB, 1), (PAGE_BLOB, 2)])
def test_status_goes_through_the_host(
    plain_fabric: Fabric, tmp_path: Path, kind: str, requests: int
) -> None:
    plain_fabric.platform.change(blob_type=kind)
    agent = RootedAgent(tmp_path, plain_fabric).start()
    agent.new_status()
    assert (through_host(agent), direct(agent)) == (requests, 0)


@pytest.mark.parametrize(("kind", "requests"), [(BLOCK_BLOB, 1), (PAGE_BLOB, 2)])
def test_status_goes_direct_when_the_host_does_not_take_it(
    plain_fabric: Fabric, tmp_path: Path, kind: str, requests: int
) -> None:
    plain_fabric.platform.change(blob_type=kind)
    agent = RootedAgent(tmp_path, plain_fabric).start()
    plain_fabric.fault("hgap.status", "BAD_GATEWAY")
    agent.new_status()
    assert (through_host(agent), direct(agent)) == (DEFAULT_ATTEMPTS, requests)
    plain_fabric.clear_faults()
    since = agent.now
    agent.new_status()
    assert direct(agent, since) == 0, "the host is always the first choice"
    (said,) = agent.events(Op.REPORT_STATUS)
    assert said["OperationSuccess"] is True
    assert said["Message"].startswith("Falling back to direct upload: ")


def test_page_blob_is_padded_with_spaces_by_the_host_and_with_nul_bytes_direct(
    plain_fabric: Fabric, tmp_path: Path
) -> None:
    plain_fabric.platform.change(blob_type=PAGE_BLOB)
    agent = RootedAgent(tmp_path, plain_fabric).start()
    agent.turn()
    document = json.loads(plain_fabric.journal.entries("hgap.status")[-1].body)
    page = base64.b64decode(document["content"])
    assert len(page) % 512 == 0
    assert page.rstrip(b" ").endswith(b"}")
    plain_fabric.fault("hgap.status", "NOT_FOUND")
    agent.turn()
    body = plain_fabric.journal.entries("storage.system")[-1].body
    assert len(body) % 512 == 0
    assert body.rstrip(b"\0").endswith(b"}")


@pytest.mark.parametrize("fault", ["WRONG_CONTAINER", "NOT_FOUND", "RESET"])
def test_status_goes_direct_whatever_the_host_answers_but_that_we_moved(
    plain: RootedAgent, fault: str
) -> None:
    plain.fabric.fault("hgap.status", fault)
    since = plain.now
    plain.new_status()
    assert direct(plain, since) == 1
    asked = DEFAULT_ATTEMPTS if fault == "RESET" else 1
    assert through_host(plain, since) == asked


def test_status_goes_direct_when_the_host_goes_on_saying_that_we_moved(plain: RootedAgent) -> None:
    plain.fabric.fault("hgap.status", "GONE")
    before, since = len(plain.statuses), plain.now
    plain.turn()
    assert len(plain.statuses) == before, "the next turn is to be good, as a rule"
    assert (through_host(plain, since), direct(plain, since)) == (1, 0)
    for count in (1, 2):
        plain.new_status()
        assert direct(plain, since) == count
    plain.fabric.clear_faults()
    plain.new_status()
    assert direct(plain, since) == 2
    plain.fabric.fault("hgap.status", "GONE", 1)
    since = plain.now
    plain.turn()
    assert direct(plain, since) == 0, "it is a new move"


def test_plugin_without_our_version_is_not_used_and_asked_again(
    plain_fabric: Fabric, tmp_path: Path
) -> None:
    agent = RootedAgent(tmp_path, plain_fabric).start()
    plain_fabric.fault("hgap.versions", "NOT_FOUND", 1)
    agent.new_status()
    assert (through_host(agent), direct(agent)) == (0, 1)
    agent.new_status()
    assert (through_host(agent), direct(agent)) == (1, 1)
    agent.turn(2)
    assert agent.requests("hgap.versions") == 2
    initialised = [e["OperationSuccess"] for e in agent.events(Op.INITIALIZE_HOST_PLUGIN)]
    assert initialised == [False, True]
    seen = [
        (each["ObservationName"], each["IsHealthy"])
        for each in plain_fabric.world.received.observations
        if each["ObservationName"] == "GuestAgentPluginVersions"
    ]
    assert [healthy for _, healthy in seen] == [True, True], "404 is an answer of a healthy host"


def test_failure_of_both_ways_is_told_and_the_next_turn_tries_again(plain: RootedAgent) -> None:
    before = len(plain.statuses)
    plain.fabric.fault("hgap.status", "BROKEN")
    plain.fabric.fault("storage.system", "BROKEN")
    plain.turn()
    assert len(plain.statuses) == before
    failures = [e for e in plain.events(Op.EXTENSION_PROCESSING) if not e["OperationSuccess"]]
    assert "Failed to upload status blob via either channel" in failures[0]["Message"]
    assert "sig=" not in failures[0]["Message"]
    plain.fabric.clear_faults()
    plain.new_status()


def test_throttling_host_is_asked_each_second_and_no_longer_than_agreed(plain: RootedAgent) -> None:
    plain.fabric.fault("hgap.status", "THROTTLED", 10)
    since, waits = plain.now, len(plain.waits)
    plain.process.loop.turn()
    assert through_host(plain, since) == 11
    assert plain.waits[waits:] == [1.0] * 10
    plain.fabric.fault("hgap.status", "UNAVAILABLE")
    since = plain.now
    plain.new_status()
    assert through_host(plain, since) == THROTTLED_ATTEMPTS
    assert direct(plain, since) == 1


def test_storage_takes_only_a_created_blob_for_success(plain: RootedAgent) -> None:
    plain.fabric.fault("hgap.status", "NOT_FOUND")
    plain.fabric.fault("storage.system", "FORBIDDEN")
    since = plain.now
    plain.turn()
    assert direct(plain, since) == THROTTLED_ATTEMPTS, "403 is throttling, says the protocol"


def test_host_is_told_how_its_uploads_go(plain: RootedAgent) -> None:
    def samples() -> list[bool]:
        return [
            each["IsHealthy"]
            for each in plain.fabric.world.received.observations
            if each["ObservationName"] == "GuestAgentPluginStatus"
        ]

    assert samples() == [True]
    plain.turn(3)
    assert samples() == [True], "once a minute is enough"
    plain.fabric.fault("hgap.status", STRANGE)
    plain.let_pass(60)
    plain.turn()
    assert samples() == [True, True], "a single failure is no illness"
    plain.let_pass(300)
    plain.turn()
    assert samples() == [True, True, False]
    plain.fabric.clear_faults()
    plain.let_pass(60)
    plain.turn()
    assert samples() == [True, True, False, True]


def test_large_status_of_a_page_blob_is_written_in_pieces(tmp_path: Path) -> None:
    with Fabric(Vm(blob_type=PAGE_BLOB, has_certificates=False)) as fabric:
        agent = RootedAgent(tmp_path, fabric).start()
        agent.turn()
        blob = agent.session.store.current().extensions.status_blob
        assert blob is not None
        since = agent.now
        text = json.dumps(agent.status) + " " * (4 * 1024 * 1024)
        assert agent.session.uploader.put(blob, text.encode())
        assert through_host(agent, since) == 3


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (BLOCK_BLOB, "[HttpError] HostGAPlugin: Put BlockBlob failed: [HTTP Failed] [505: "),
        (PAGE_BLOB, "[HttpError] HostGAPlugin: Failed PageBlob clean-up: [HTTP Failed] [505: "),
    ],
)
def test_upload_that_the_host_refuses_is_told_in_the_recorded_words(
    plain_fabric: Fabric, tmp_path: Path, kind: str, words: str
) -> None:
    plain_fabric.platform.change(blob_type=kind)
    agent = RootedAgent(tmp_path, plain_fabric).start()
    plain_fabric.fault("hgap.status", STRANGE)
    agent.new_status()
    (said,) = agent.events(Op.REPORT_STATUS)
    assert said["Message"].startswith(f"Falling back to direct upload: {words}")


PAGE = 512
PIECE = 4 * 1024 * 1024
SIZES = (8 * PAGE - 1, 8 * PAGE, 8 * PAGE + 1, PIECE - 1, PIECE, PIECE + 1, PIECE + PAGE + 1)


@pytest.mark.parametrize("kind", [BLOCK_BLOB, PAGE_BLOB])
@pytest.mark.parametrize("way", ["host", "direct"])
def test_blob_in_storage_is_the_document_to_the_byte(
    plain_fabric: Fabric, tmp_path: Path, kind: str, way: str
) -> None:
    plain_fabric.platform.change(blob_type=kind)
    agent = RootedAgent(tmp_path, plain_fabric).start()
    agent.turn()
    where = agent.session.store.current().extensions.status_blob
    assert where is not None
    if way == "direct":
        plain_fabric.fault("hgap.status", "NOT_FOUND")
    status = json.dumps(agent.status).encode()
    for size in (len(status), *SIZES):
        document = status.ljust(size)
        assert len(document) == size
        since = agent.now
        assert agent.session.uploader.put(where, document)
        (blob,) = plain_fabric.world.blobs.values()
        padding = {BLOCK_BLOB: b"", PAGE_BLOB: b" " if way == "host" else b"\0"}[kind]
        whole = document + padding * (-len(document) % PAGE)
        assert blob.content == whole, f"{size} bytes"
        pieces = 1 if kind == BLOCK_BLOB else 1 + -(-len(whole) // PIECE)
        asked = through_host(agent, since) if way == "host" else direct(agent, since)
        assert asked == pieces, f"{size} bytes"
