"""The journal in the form of the recordings, and the comparison of two sets of requests."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.client import WIRE, XML_POST, Client
from tests.emulator.replay import Replay
from tests.emulator.test_replay import GOLDEN
from tests.fabric import Fabric
from tests.fabric.golden import (
    ABSENT,
    Difference,
    differences,
    export,
    load,
    normalise,
    record_of,
)

Records = list[dict[str, Any]]


def replayed(paths: list[Path]) -> Iterator[tuple[Records, Records]]:
    """What was recorded and what the journal makes of the same requests."""
    recorded = [record for path in paths for record in load(path)]
    with Fabric() as fabric:
        replay = Replay(fabric)
        for record, upcoming in zip(recorded, [*recorded[1:], None]):
            replay.play(record, upcoming)
        text = export(fabric.journal.entries(), fabric.vm)
    yield recorded, [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def provision() -> Records:
    """The recording of a first boot."""
    return load(GOLDEN / "01-provision.jsonl")


def test_the_journal_of_a_replay_does_not_differ_from_the_recording() -> None:
    for recorded, ours in replayed(sorted(GOLDEN.glob("[0-9]*.jsonl"))):
        assert differences(recorded, ours) == set()
        assert [r["endpoint"] for r in recorded] == [r["endpoint"] for r in ours]


def test_exported_records_hold_no_value_that_changes_from_run_to_run() -> None:
    for _, ours in replayed([GOLDEN / "01-provision.jsonl"]):
        text = json.dumps(ours)
        for word in ("fabric-vm.9f7e", "4c1d6b7e", "2f6c7a1e", "2.15.0.1"):
            assert word not in text
        assert "{CONTAINER_ID}" in text
        assert "{AGENT_VERSION}" in text


def test_order_repeats_and_mirrors_are_no_differences(provision: Records) -> None:
    ours = [*reversed(copy.deepcopy(provision)), *copy.deepcopy(provision)]
    for record in ours:
        record["url"] = record["url"].replace("/manifests2/", "/manifests0/")
        record["endpoint"] = record["endpoint"].replace("manifests2", "manifests0")
    assert differences(provision, ours) == set()


def test_another_order_of_headers_is_a_difference(provision: Records) -> None:
    ours = copy.deepcopy(provision)
    for record in ours:
        record["headers"].reverse()
    assert {d.field for d in differences(provision, ours)} == {"headers"}


def test_another_order_of_members_is_a_difference(provision: Records) -> None:
    ours = copy.deepcopy(provision)
    for record in ours:
        if "body_content" in record:
            record["body_content"] = dict(reversed(record["body_content"].items()))
    found = differences(provision, ours)
    assert {(d.endpoint, d.field) for d in found} == {("hgap.status", "status keys")}


def test_a_handler_does_not_pass_for_another(provision: Records) -> None:
    """Two handlers that swap their versions have the same versions all in all."""

    def document(first: str, second: str) -> Records:
        items = [
            {"handlerName": "A", "handlerVersion": first},
            {"handlerName": "B", "handlerVersion": second},
        ]
        return changed(provision, "hgap.status", body_content={"items": items})

    fields = {d.field for d in differences(document("1", "2"), document("2", "1"))}
    assert fields == {"status.items[]<A>.handlerVersion", "status.items[]<B>.handlerVersion"}


def changed(records: Records, endpoint: str, **facts: Any) -> Records:
    """Records in which every request to an endpoint has other members."""
    return [{**r, **facts} if r["endpoint"] == endpoint else r for r in records]


def names(headers: list[list[str]]) -> str:
    """The names of headers in their order."""
    return ", ".join(name for name, _ in headers)


def test_a_header_that_is_missing_is_a_difference(provision: Records) -> None:
    first = next(r for r in provision if r["endpoint"] == "wire.goalstate")
    kept = [pair for pair in first["headers"] if pair[0] != "x-ms-agent-name"]
    ours = changed(provision, "wire.goalstate", headers=kept)
    assert differences(provision, ours) == {
        Difference(
            "wire.goalstate", "header x-ms-agent-name", "x-ms-agent-name: WALinuxAgent", ABSENT
        ),
        Difference("wire.goalstate", "headers", names(first["headers"]), names(kept)),
    }


def test_the_case_of_a_headers_name_is_a_difference(provision: Records) -> None:
    first = next(r for r in provision if r["endpoint"] == "hgap.status")
    headers = [[n.replace("Content-type", "Content-Type"), v] for n, v in first["headers"]]
    ours = changed(provision, "hgap.status", headers=headers)
    assert differences(provision, ours) == {
        Difference(
            "hgap.status",
            "header content-type",
            "Content-type: application/json",
            "Content-Type: application/json",
        ),
        Difference("hgap.status", "headers", names(first["headers"]), names(headers)),
    }


def test_another_value_in_a_body_is_a_difference_that_shows_its_type(provision: Records) -> None:
    ours = copy.deepcopy(provision)
    for record in ours:
        for item in (
            record.get("body_content", {})
            .get("aggregateStatus", {})
            .get("handlerAggregateStatus", [])
        ):
            item["code"] = "0"
    field = "status.aggregateStatus.handlerAggregateStatus[]<Fabric.Test.Echo>.code"
    assert differences(provision, ours) == {Difference("hgap.status", field, "0", '"0"')}


def test_an_xml_element_that_is_missing_is_a_difference(provision: Records) -> None:
    ours = [r for r in provision if "NotReady" not in r.get("body", "")]
    fields = {d.field.rpartition("/")[2] for d in differences(provision, ours)}
    assert fields == {
        "Health children", "State", "Details", "Details children", "SubStatus", "Description",
    }  # fmt: skip


def test_a_telemetry_parameter_that_is_missing_is_a_difference(provision: Records) -> None:
    ours = copy.deepcopy(provision)
    for record in ours:
        record.get("body_events", {}).get("common", {}).pop("RAM", None)
    found = differences(provision, ours)
    assert {(d.endpoint, d.field.split()[-1], d.theirs, d.ours) for d in found} == {
        ("wire.telemetry", "RAM", "(number)", ABSENT)
    }


def test_an_endpoint_that_only_one_side_asks_is_a_difference(provision: Records) -> None:
    ours = [r for r in provision if r["endpoint"] != "imds.instance"]
    assert differences(provision, ours) == {Difference("imds.instance", "*", "requested", ABSENT)}
    assert differences(ours, provision) == {Difference("imds.instance", "*", ABSENT, "requested")}


def test_facts_know_nothing_of_lengths_times_and_numbers_that_vary(provision: Records) -> None:
    facts = normalise(next(r for r in provision if r["endpoint"] == "wire.sharedconfig"))
    assert facts["query incarnation"] == {"{N}"}
    assert facts["query type"] == {"sharedConfig"}
    assert facts["path"] == {"http://168.63.129.16/machine/{CONTAINER_ID}/{INSTANCE_ID}"}


def test_text_that_is_no_document_is_compared_as_it_is(client: Client) -> None:
    client.fabric.fault("wire.health", "BROKEN")
    client.send("POST", f"{WIRE}/machine?comp=health", XML_POST, b"just text")
    record = record_of(client.fabric.journal.entries()[0], client.fabric.vm)
    assert record["fault"] == "BROKEN"
    assert normalise(record)["body"] == {"just text"}
