"""The health report: as the portal waits for it, and never refused for its text."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.golden import recorded
from waagent.protocol.documents.reports import (
    MAX_DESCRIPTION,
    NOT_READY,
    PROVISIONING,
    PROVISIONING_FAILED,
    READY,
    render_health,
)

IDENTITY = ("1", "{CONTAINER_ID}", "{INSTANCE_ID}")


def failed(description: str) -> bytes:
    """A report of failed provisioning."""
    return render_health(*IDENTITY, NOT_READY, PROVISIONING_FAILED, description=description)


def described(body: bytes) -> str:
    """The description that the server reads."""
    return ET.fromstring(body).findtext(".//Description") or ""


def test_both_reports_of_a_first_boot_are_byte_for_byte_as_recorded() -> None:
    """Starting, then Ready."""
    recorded_bodies = [request["body"] for request in recorded("wire.health", "01-provision.jsonl")]
    ours = [
        render_health(*IDENTITY, NOT_READY, PROVISIONING, description="Starting"),
        render_health(*IDENTITY, READY),
    ]
    assert [body.decode("utf-8") for body in ours] == recorded_bodies


def test_ready_has_no_details_even_with_a_description() -> None:
    """Details exist exactly when there is a sub-status."""
    assert b"Details" not in render_health(*IDENTITY, READY, description="ignored")


def test_description_is_cut_to_3686_characters_before_it_is_escaped() -> None:
    """Escaping makes it longer again, for the server it is not."""
    body = failed("&" * 5000)
    assert described(body) == "&" * MAX_DESCRIPTION
    assert body.count(b"&amp;") == 3686


def test_description_takes_no_more_bytes_than_the_server_does() -> None:
    """3686 characters of Chinese would be 11058 bytes, and the report be refused."""
    text = described(failed("\u4e2d" * 5000))
    assert len(text.encode("utf-8")) <= 4096
    assert text == "\u4e2d" * 1365


def test_description_loses_its_sas_token() -> None:
    """An error text may quote the URL that failed."""
    body = failed("cannot fetch https://a.blob.core.windows.net/x?sig=abcdef&se=1")
    assert b"abcdef" not in body


@pytest.mark.parametrize(
    ("given_text", "sent"),
    [
        ("a<b>&c", b"a&lt;b&gt;&amp;c"),
        ('say "no"', b'say "no"'),
        ("a\x00\x1bb", "a\ufffd\ufffdb".encode()),
    ],
)
def test_description_is_escaped_as_element_text(given_text: str, sent: bytes) -> None:
    """Quotes stay; what is no XML character is replaced, or the report would be refused."""
    assert b"<Description>" + sent + b"</Description>" in failed(given_text)


@given(st.text(st.characters()))
def test_report_is_well_formed_whatever_the_description_says(description: str) -> None:
    """A terminal's escape sequence in an error text must not cost the provisioning."""
    root = ET.fromstring(failed(description))
    assert root.findtext(".//SubStatus") == PROVISIONING_FAILED
