"""What the metadata service says: where we run, from what image, and whether the service works."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.samples import sample
from waagent.core.errors import DocumentError
from waagent.protocol.documents.instance import (
    CUSTOM,
    ENDORSED,
    PLATFORM,
    UNDETERMINED,
    find_instance_fault,
    parse_compute,
)

FIELDS = {
    "location": "westeurope",
    "subscriptionId": "21b2dc34",
    "resourceGroupName": "rg",
    "vmId": "e7fdbfc4",
    "publisher": "P",
    "offer": "O",
    "sku": "S",
    "version": "1.0",
    "zone": "",
}
INSTANCE: dict[str, Any] = {
    "network": {
        "interface": [
            {
                "macAddress": "000D3A",
                "ipv4": {"subnet": [], "ipAddress": [{"privateIpAddress": "10.0.0.4"}]},
            }
        ],
        "more": 1,
    }
}


def origin(publisher: str, offer: str, sku: str, version: str = "") -> int:
    """The origin of an image."""
    fields = {"publisher": publisher, "offer": offer, "sku": sku, "version": version}
    return parse_compute(json.dumps(fields).encode()).image_origin


def changed(path: str, value: Any = None, *, remove: bool = False) -> bytes:
    """A good instance document with one field changed or removed."""
    document = copy.deepcopy(INSTANCE)
    place: Any = document
    *above, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in above:
        place = place[part]
    if remove:
        del place[last]
    else:
        place[last] = value
    return json.dumps(document).encode()


def test_compute_gives_what_telemetry_says_of_the_machine() -> None:
    """Other fields are ignored."""
    assert parse_compute(json.dumps(FIELDS).encode()).parameters() == {
        "location": "westeurope",
        "subscription_id": "21b2dc34",
        "resource_group": "rg",
        "vm_id": "e7fdbfc4",
        "image_origin": PLATFORM,
    }


def test_field_that_is_not_there_stays_unknown() -> None:
    """Telemetry then says that it is uninitialised."""
    compute = parse_compute(b'{"location": "westus"}')
    assert compute.parameters() == {"location": "westus", "image_origin": UNDETERMINED}


def test_captured_document_is_an_endorsed_image_and_healthy() -> None:
    """Ubuntu 16.04 of Canonical."""
    document = json.loads(sample("imds/valid.json"))
    assert parse_compute(json.dumps(document["compute"]).encode()).image_origin == ENDORSED
    assert find_instance_fault(sample("imds/valid.json")) is None


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (("", "", ""), CUSTOM),
        (("Canonical", "UbuntuServer", "14.04.0-LTS"), ENDORSED),
        (("canonical", "ubuntuserver", "14.04.8-LTS"), ENDORSED),
        (("Canonical", "UbuntuServer", "14.04.9-LTS"), PLATFORM),
        (("Canonical", "UbuntuServer", "22.04-LTS"), ENDORSED),
        (("Canonical", "UbuntuServer", "22.04-lts"), PLATFORM),
        (("Canonical", "0001-com-ubuntu-server-jammy", "22.04-LTS"), PLATFORM),
        (("CoreOS", "CoreOS", "Stable", "494.4.0"), ENDORSED),
        (("CoreOS", "CoreOS", "Stable", "494.3.9"), PLATFORM),
        (("CoreOS", "CoreOS", "Beta", "999"), PLATFORM),
        (("credativ", "Debian", "7"), ENDORSED),
        (("credativ", "Debian", "6"), PLATFORM),
        (("credativ", "Debian", "9-backports"), PLATFORM),
        (("OpenLogic", "CentOS", "6.3"), ENDORSED),
        (("OpenLogic", "CentOS", "6.2"), PLATFORM),
        (("OpenLogic", "CentOS", "7-RAW"), ENDORSED),
        (("OpenLogic", "CentOS-HPC", "7-RAW"), PLATFORM),
        (("RedHat", "RHEL", "6.7"), ENDORSED),
        (("RedHat", "RHEL", "7-LVM"), ENDORSED),
        (("RedHat", "RHEL-SAP-HANA", "6.10"), ENDORSED),
        (("SUSE", "SLES", "11-SP4"), ENDORSED),
        (("SUSE", "SLES", "12-SP6"), ENDORSED),
        (("SUSE", "SLES", "12"), PLATFORM),
        (("SUSE", "SLES-SAP", "12"), ENDORSED),
        (("SUSE", "SLES-BYOS", "12-SP6"), PLATFORM),
        (("SUSE", "SLE-HPC", "15-SP5"), ENDORSED),
        (("SUSE", "SLE-HPC", "15"), PLATFORM),
        (("Somebody", "Else", "1"), PLATFORM),
    ],
)
def test_image_origin_follows_the_table_of_endorsed_images(
    image: tuple[str, ...], expected: int
) -> None:
    """Publisher and offer in any case; a listed sku as it is written."""
    assert origin(*image) == expected


@pytest.mark.parametrize("data", [b"", b"[]", b"no", b'{"location": 1}'])
def test_compute_that_cannot_be_read_is_a_document_error(data: bytes) -> None:
    """The caller only warns of it."""
    with pytest.raises(DocumentError):
        parse_compute(data)


def test_instance_with_a_network_is_without_fault() -> None:
    """A document has many more fields; only these are looked at."""
    assert find_instance_fault(json.dumps(INSTANCE).encode()) is None


REQUIRED = [
    ("network", "network"),
    ("network.interface", "network.interface"),
    ("network.interface.0.macAddress", "network.interface[0].macAddress"),
    ("network.interface.0.ipv4", "network.interface[0].ipv4"),
    ("network.interface.0.ipv4.ipAddress", "network.interface[0].ipv4.ipAddress"),
    (
        "network.interface.0.ipv4.ipAddress.0.privateIpAddress",
        "network.interface[0].ipv4.ipAddress[0].privateIpAddress",
    ),
]


@pytest.mark.parametrize(("path", "name"), REQUIRED)
def test_missing_field_is_a_fault_that_names_it(path: str, name: str) -> None:
    """The text goes to the host."""
    assert find_instance_fault(changed(path, remove=True)) == f"Missing field: [{name}]"


@pytest.mark.parametrize("value", [None, "", [], {}])
@pytest.mark.parametrize(("path", "name"), REQUIRED)
def test_empty_field_is_a_fault_that_names_it(path: str, name: str, value: object) -> None:
    """Null counts as empty."""
    assert find_instance_fault(changed(path, value)) == f"Empty field: [{name}]"


def test_document_that_is_not_json_is_a_fault() -> None:
    """A proxy's error page, for instance."""
    fault = find_instance_fault(b"<html>")
    assert fault is not None
    assert fault.startswith("JSON parsing failed: ")


@given(st.binary() | st.text().map(str.encode))
def test_looking_for_faults_never_raises(data: bytes) -> None:
    """What is no instance has a fault, that is all."""
    assert find_instance_fault(data)
