"""Blob storage: what the goal state points to, and the rules of block and page blobs."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from tests.emulator.client import Client, Reply
from tests.emulator.statuses import (
    block_headers,
    create_headers,
    document,
    handler,
    message,
    page_headers,
)
from tests.fabric.addresses import MIRRORS, PACKAGE_MIRRORS

ECHO = "Fabric.Test.Echo"


def put(client: Client, headers: dict[str, str], body: bytes = b"", more: str = "") -> Reply:
    world = client.fabric.world
    return client.send("PUT", world.addresses.status_blob(world.vm) + more, headers, body)


def test_every_mirror_has_the_manifest_and_the_package(client: Client) -> None:
    where = client.fabric.world.addresses
    for n in range(MIRRORS):
        answer = client.send("GET", where.manifest(ECHO, n)).xml
        assert answer.findtext(".//Version") == "1.0.0"
        assert len(answer.findall(".//Uri")) == PACKAGE_MIRRORS
    for uri in answer.iter("Uri"):
        content = client.send("GET", uri.text or "").body
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            manifest = json.loads(bundle.read("HandlerManifest.json"))
            mode = bundle.getinfo("bin/handler.sh").external_attr >> 16
        assert manifest[0]["handlerManifest"]["enableCommand"] == "bin/handler.sh enable"
        assert mode & 0o111


def test_a_new_version_is_listed_beside_the_old_one(client: Client) -> None:
    client.fabric.portal.update_extension(ECHO, version="1.1.0")
    answer = client.send("GET", client.fabric.world.addresses.manifest(ECHO, 0)).xml
    assert [v.text for v in answer.iter("Version")] == ["1.0.0", "1.1.0"]


def test_an_offered_agent_is_in_its_familys_manifest_and_can_be_fetched(client: Client) -> None:
    client.fabric.platform.offer_agent("9.9.9.1", b"other bytes", by_rsm=True)
    family = client.document("ExtensionsConfig").xml.find(".//GAFamily")
    assert family is not None
    assert family.findtext("Version") == "9.9.9.1"
    assert family.findtext("IsVersionFromRSM") == "true"
    manifest = client.send("GET", family.findtext("Uris/Uri") or "").xml
    assert client.send("GET", manifest.findtext(".//Uri") or "").body == b"other bytes"


def test_the_artifacts_profile_says_whether_to_hold(client: Client) -> None:
    client.fabric.platform.change(on_hold=True)
    url = client.document("ExtensionsConfig").xml.findtext("InVMArtifactsProfileBlob") or ""
    assert client.send("GET", url).json["onHold"] is True


def test_a_status_block_blob_is_taken_and_can_be_waited_for(client: Client) -> None:
    body = json.dumps(document(handler(seq_no=3))).encode()
    assert put(client, block_headers(body), body).status == 201
    item = client.fabric.await_extension(ECHO, seq_no=3, within_s=0)
    assert item["status"] == "Ready"


def test_a_configuration_and_a_version_can_be_waited_for(client: Client) -> None:
    one, two = handler(seq_no=1), handler(seq_no=1)
    for item, name in ((one, "one"), (two, "two")):
        item["runtimeSettingsStatus"]["extensionName"] = name
    body = json.dumps(document(one, two)).encode()
    put(client, block_headers(body), body)
    found = client.fabric.await_extension(ECHO, seq_no=1, config="two", version="1.0.0", within_s=0)
    assert found["runtimeSettingsStatus"]["extensionName"] == "two"
    with pytest.raises(AssertionError, match="cannot wait longer"):
        client.fabric.await_extension(ECHO, seq_no=1, config="two", version="9", within_s=0)


def test_a_status_page_blob_is_taken_when_its_last_page_is_written(client: Client) -> None:
    client.fabric.platform.change(blob_type="PageBlob")
    body = json.dumps(document(handler())).encode()
    padded = body + bytes(-len(body) % 512)
    assert put(client, create_headers(len(padded))).status == 201
    first, rest = padded[:512], padded[512:]
    assert put(client, page_headers(0, first), first, "&comp=page").status == 201
    assert client.fabric.world.received.statuses == []
    assert put(client, page_headers(512, rest), rest, "&comp=page").status == 201
    assert client.fabric.world.received.statuses == [json.loads(body)]


def pages(first: int, content: bytes) -> tuple[dict[str, str], bytes]:
    return page_headers(first, content), content


WRONG_PAGES = {
    "not aligned": (pages(0, b"x" * 100), 400, "not aligned"),
    "beyond the end": (pages(512, b"x" * 1024), 416, "passes the blob's end"),
    "another length": (
        ({**page_headers(0, b"x" * 512), "x-ms-range": "bytes=0-1023"}, b"x" * 512),
        400,
        "does not fit a body of 512",
    ),
    "no page write": (
        ({**page_headers(0, b"x" * 512), "x-ms-page-write": "clear"}, b"x" * 512),
        400,
        "x-ms-page-write is 'clear'",
    ),
}


@pytest.mark.parametrize("name", sorted(WRONG_PAGES))
def test_a_wrong_page_is_refused(offender: Client, name: str) -> None:
    (headers, body), status, says = WRONG_PAGES[name]
    offender.fabric.platform.change(blob_type="PageBlob")
    assert put(offender, create_headers(1024)).status == 201
    assert put(offender, headers, body, "&comp=page").status == status
    assert says in offender.fabric.violations[0]


def test_a_page_of_more_than_4_mib_is_refused(offender: Client) -> None:
    offender.fabric.platform.change(blob_type="PageBlob")
    body = bytes(4 * 1024 * 1024 + 512)
    put(offender, create_headers(len(body)))
    assert put(offender, page_headers(0, body), body, "&comp=page").status == 400
    assert "larger than 4 MiB" in offender.fabric.violations[0]


def test_a_page_blob_of_a_crooked_size_is_refused(offender: Client) -> None:
    offender.fabric.platform.change(blob_type="PageBlob")
    assert put(offender, create_headers(1000)).status == 400
    assert "no multiple of 512" in offender.fabric.violations[0]


def test_a_page_before_its_blob_is_refused(offender: Client) -> None:
    body = b"x" * 512
    assert put(offender, page_headers(0, body), body, "&comp=page").status == 404
    assert "before its blob" in offender.fabric.violations[0]


def test_a_blob_of_the_other_kind_is_recorded(offender: Client) -> None:
    assert put(offender, create_headers(512)).status == 201
    assert "asks for a BlockBlob, not a PageBlob" in offender.fabric.violations[0]


def test_a_foreign_sas_is_refused(offender: Client) -> None:
    world = offender.fabric.world
    url = world.addresses.status_blob(world.vm).replace("sp=w", "sp=r")
    assert offender.send("PUT", url, block_headers(b"{}"), b"{}").status == 403
    assert "SAS" in offender.fabric.violations[0]


def test_a_sas_may_be_escaped_in_another_way(client: Client) -> None:
    world = client.fabric.world
    url = world.addresses.status_blob(world.vm).replace("%3a", "%3A")
    body = json.dumps(document()).encode()
    assert client.send("PUT", url, block_headers(body), body).status == 201


def test_a_blob_nobody_named_is_not_found(offender: Client) -> None:
    where = offender.fabric.world.addresses
    assert offender.send("GET", where.manifest("Other", 0)).status == 404
    assert "never named" in offender.fabric.violations[0]


def wrong_status(path: str, value: Any) -> dict[str, Any]:
    """A status document with one member replaced, or removed when the value is `...`."""
    whole = document(handler())
    *parents, last = path.split(".")
    where: Any = whole
    for part in parents:
        where = where[int(part)] if part.isdigit() else where[part]
    if value is ...:
        del where[last]
    else:
        where[last] = value
    return whole


ITEM = "aggregateStatus.handlerAggregateStatus.0"
INNER = f"{ITEM}.runtimeSettingsStatus.settingsStatus.status"
WRONG_STATUS: dict[str, tuple[str, Any]] = {
    "'1.0' and not '1.1'": ("version", "1.0"),
    "no UTC time": ("timestampUTC", "yesterday"),
    "guestOSInfo is missing": ("guestOSInfo", ...),
    "surplus is no known member": ("surplus", 1),
    "'Fine' and not one of Ready": ("aggregateStatus.guestAgentStatus.status", "Fine"),
    "code is '0' and no number": (f"{ITEM}.code", "0"),
    "useExactVersion is not true": (f"{ITEM}.useExactVersion", False),
    "sequenceNumber is '3'": (f"{ITEM}.runtimeSettingsStatus.sequenceNumber", "3"),
    "'happy' and not one of transitioning": (f"{INNER}.status", "happy"),
    "not an object of lang and message": (f"{INNER}.formattedMessage", {"lang": "en"}),
    "status is missing": (f"{INNER}.substatus", [{"name": "x"}]),
}


@pytest.mark.parametrize("says", sorted(WRONG_STATUS))
def test_a_status_that_breaks_its_schema_is_recorded(offender: Client, says: str) -> None:
    body = json.dumps(wrong_status(*WRONG_STATUS[says])).encode()
    put(offender, block_headers(body), body)
    assert any(says in one for one in offender.fabric.violations)


def test_a_status_without_a_message_text_is_allowed(client: Client) -> None:
    item = handler(formattedMessage={**message(""), "message": None}, operation=None)
    body = json.dumps(document(item)).encode()
    assert put(client, block_headers(body), body).status == 201


def test_a_status_that_is_no_json_is_recorded(offender: Client) -> None:
    put(offender, block_headers(b"{"), b"{")
    assert "the status blob is no JSON" in offender.fabric.violations[0]
