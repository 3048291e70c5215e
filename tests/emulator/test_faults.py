"""Faults strike where and as often as they are told to."""

from __future__ import annotations

import http.client
import socket
import threading
from typing import Any

import pytest

from tests.emulator.client import PLAIN, WIRE, Client
from tests.fabric import faults

GOAL = f"{WIRE}/machine/?comp=goalstate"


def test_unavailable_once_is_followed_by_success(client: Client) -> None:
    client.fabric.fault("wire.goalstate", faults.UNAVAILABLE_ONCE)
    assert [client.get(GOAL).status for _ in range(3)] == [503, 200, 200]


@pytest.mark.parametrize(
    ("name", "status"),
    [("GONE", 410), ("THROTTLED", 429), ("BROKEN", 500), ("WRONG_CONTAINER", 400)],
)
def test_a_named_fault_answers_with_its_status_until_cleared(
    client: Client, name: str, status: int
) -> None:
    client.fabric.fault("wire.goalstate", name)
    assert [client.get(GOAL).status for _ in range(2)] == [status] * 2
    client.fabric.clear_faults("wire.goalstate")
    assert client.get(GOAL).status == 200


def test_wrong_container_says_so_in_its_body(client: Client) -> None:
    client.fabric.fault("hgap.vmsettings", "WRONG_CONTAINER")
    assert b"InvalidContainerConfiguration" in client.vm_settings().body


def test_a_fault_can_be_counted(client: Client) -> None:
    client.fabric.fault("wire.goalstate", faults.GONE, count=2)
    assert [client.get(GOAL).status for _ in range(3)] == [410, 410, 200]


@pytest.mark.parametrize("pattern", ["storage.", "storage", "storage.manifests", "storage.m*"])
def test_a_prefix_strikes_every_endpoint_below_it(client: Client, pattern: str) -> None:
    client.fabric.fault(pattern, faults.UNAVAILABLE)
    url = client.fabric.world.addresses.manifest("Fabric.Test.Echo", 2)
    assert client.send("GET", url).status == 503
    assert client.get(GOAL).status == 200


def test_reset_breaks_the_connection_and_is_answer_0(client: Client) -> None:
    client.fabric.fault("wire.goalstate", faults.RESET)
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        client.get(GOAL)
    assert client.fabric.journal.entries()[-1].answer == 0


def test_cut_short_promises_more_than_it_sends(client: Client) -> None:
    client.fabric.fault("wire.goalstate", faults.CUT_SHORT)
    with pytest.raises(http.client.IncompleteRead):
        client.get(GOAL)


def test_not_xml_and_wrong_content_spoil_a_good_answer(client: Client) -> None:
    client.fabric.fault("wire.goalstate", faults.NOT_XML, count=1)
    assert b"not XML" in client.get(GOAL).body
    client.fabric.fault("wire.goalstate", faults.WRONG_CONTENT)
    assert client.get(GOAL).xml.tag == "html"


def test_hang_gives_no_answer_until_it_is_cleared(client: Client) -> None:
    client.fabric.fault("wire.goalstate", faults.HANG)
    client.timeout_s = 0.2
    with pytest.raises(socket.timeout):
        client.get(GOAL)
    client.timeout_s = 10
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(client.get(GOAL).status))
    waiting.start()
    client.fabric.clear_faults()
    waiting.join(10)
    assert answers == [200]


def test_a_fabric_that_hangs_can_be_stopped(client: Client) -> None:
    client.fabric.fault("wire.goalstate", faults.HANG)
    client.timeout_s = 0.1
    with pytest.raises(socket.timeout):
        client.get(GOAL)
    client.fabric.stop()
    with pytest.raises(ConnectionRefusedError):
        client.send("GET", GOAL, PLAIN)


def test_a_struck_request_is_in_the_journal_with_the_faults_name(client: Client) -> None:
    client.fabric.fault("wire.versions", faults.UNAVAILABLE)
    client.send("GET", f"{WIRE}/?comp=versions")
    entry = client.fabric.journal.entries("wire.versions")[0]
    assert (entry.answer, entry.fault) == (503, "UNAVAILABLE")


def test_waiting_ends_with_what_was_seen_when_nothing_comes(client: Client) -> None:
    client.get(GOAL)
    with pytest.raises(AssertionError, match=r"wait longer than 0.05 s(?s:.*)wire.goalstate"):
        client.fabric.await_requests("wire.goalstate", 2, within_s=0.05)


def test_waiting_ends_as_soon_as_the_request_comes(client: Client) -> None:
    later = threading.Timer(0.05, lambda: client.get(GOAL))
    later.start()
    assert len(client.fabric.await_requests("wire.goalstate", within_s=10)) == 1
    later.join()
