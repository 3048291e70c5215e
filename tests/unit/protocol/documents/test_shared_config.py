"""SharedConfig: the RDMA address of this machine."""

from __future__ import annotations

import pytest

from tests.support.samples import sample
from waagent.core.errors import DocumentError
from waagent.protocol.documents.shared_config import SharedConfig, parse_shared_config


def shared_config(attributes: str) -> bytes:
    """A document whose first instance has these attributes."""
    return (
        f'<SharedConfig><Instances><Instance id="me" {attributes}/>'
        '<Instance id="other" rdmaIPv4Address="10.9.9.9" rdmaMacAddress="AABBCCDDEEFF"/>'
        "</Instances></SharedConfig>"
    ).encode()


def test_rdma_address_is_that_of_the_first_instance() -> None:
    data = shared_config('rdmaIPv4Address="172.16.1.7" rdmaMacAddress="00155D33FF1D"')
    assert parse_shared_config(data) == SharedConfig("172.16.1.7", "00:15:5D:33:FF:1D")


@pytest.mark.parametrize("attributes", ["", 'rdmaIPv4Address="" rdmaMacAddress=""'])
def test_machine_without_rdma_has_no_such_address(attributes: str) -> None:
    assert parse_shared_config(shared_config(attributes)) == SharedConfig(None, None)


def test_document_without_instances_has_no_such_address() -> None:
    assert parse_shared_config(b"<SharedConfig/>") == SharedConfig(None, None)


@pytest.mark.parametrize(
    "attributes",
    [
        'rdmaIPv4Address="172.16.1.7; reboot"',
        'rdmaIPv4Address="::1"',
        'rdmaMacAddress="00:15:5D:33:FF:1D"',
        'rdmaMacAddress="00155D33FF1"',
    ],
)
def test_address_that_is_none_is_refused(attributes: str) -> None:
    with pytest.raises(DocumentError, match="rdma"):
        parse_shared_config(shared_config(attributes))


def test_captured_document_can_be_read() -> None:
    found = parse_shared_config(sample("wire/shared_config.xml"))
    assert isinstance(found, SharedConfig)
