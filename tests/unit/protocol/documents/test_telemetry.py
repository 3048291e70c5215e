"""Events as the wire server takes them, and as spooled files hold them."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.golden import recorded
from tests.support.samples import sample
from waagent.core.errors import DocumentError
from waagent.core.events import AGENT_PROVIDER, LOG_PROVIDER
from waagent.protocol.documents.telemetry import (
    MAX_EVENTS_BYTES,
    TelemetryEvent,
    parse_event,
    render_batches,
    render_event,
)

ENVELOPE = b'<?xml version="1.0"?><TelemetryData version="1.0"><Provider id="%s">'
XML_EVENT = (
    b'<?xml version="1.0"?><Data><Provider id="69B669B9-4AF8-4C50-BDC4-6006FA76E975"/>'
    b'<Event id="1"/><Param Name="Name" Value="P.T" T="mt:wstr"/>'
    b'<Param Name="Duration" Value="12" T="mt:uint64"/>'
    b'<Param Name="Ratio" Value="0.5" T="mt:float64"/>'
    b'<Param Name="OperationSuccess" Value="False" T="mt:bool"/>'
    b'<Param Name="IsInternal" Value="True" T="mt:bool"/></Data>'
)
XML_ALLOWED = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n\r")
)


def event(*parameters: tuple[str, Any], provider: str = AGENT_PROVIDER) -> TelemetryEvent:
    """An event with some parameters."""
    return TelemetryEvent(1, provider, parameters)


def sized(size: int, provider: str = AGENT_PROVIDER) -> TelemetryEvent:
    """An event whose element has exactly that many bytes."""
    padding = size - len(render_event(event(("Message", ""), provider=provider)))
    return event(("Message", "x" * padding), provider=provider)


def received(body: bytes) -> list[list[tuple[str, str, str]]]:
    """Name, value and type of each parameter of each event, as a server reads them."""
    events = []
    for element in ET.fromstring(body).iter("Event"):
        parameters = ET.fromstring(f"<P>{element.text or ''}</P>")
        events.append([(p.attrib["Name"], p.attrib["Value"], p.attrib["T"]) for p in parameters])
    return events


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (True, 'Value="True" T="mt:bool"'),
        (False, 'Value="False" T="mt:bool"'),
        (42, 'Value="42" T="mt:uint64"'),
        (737.375, 'Value="737.375" T="mt:float64"'),
        ("text", 'Value="text" T="mt:wstr"'),
        ("", 'Value="" T="mt:wstr"'),
        (None, 'Value="None" T=""'),
        ([1], 'Value="[1]" T=""'),
        ("a&b<c>d", 'Value="a&amp;b&lt;c&gt;d" T="mt:wstr"'),
        ("one\r\n\ttwo", 'Value="one&#13;&#10;&#9;two" T="mt:wstr"'),
        ('say "no"', 'Value=\'say "no"\' T="mt:wstr"'),
        ('"it\'s"', 'Value="&quot;it\'s&quot;" T="mt:wstr"'),
        ("]]>", 'Value="]]&gt;" T="mt:wstr"'),
        ("\x1b[0m\ud800", 'Value="\ufffd[0m\ufffd" T="mt:wstr"'),
    ],
)
def test_parameter_is_encoded_by_the_kind_of_its_value(value: Any, encoded: str) -> None:
    """The table of the wire: bool before int, everything quoted as an attribute."""
    expected = f'<Event id="1"><![CDATA[<Param Name="N" {encoded} />]]></Event>'
    assert render_event(event(("N", value))) == expected.encode("utf-8")


def test_batch_is_an_envelope_around_the_events_of_one_provider() -> None:
    """As a whole body."""
    first, second = event(("A", 1)), event(("B", 2))
    (batch,), oversized = render_batches([first, second])
    assert batch.body == (
        ENVELOPE % AGENT_PROVIDER.encode()
        + render_event(first)
        + render_event(second)
        + b"</Provider></TelemetryData>"
    )
    assert (batch.events, oversized) == ((first, second), ())


def test_providers_are_never_mixed_in_a_request() -> None:
    """Each is a table of its own at the other end."""
    events = [event(provider=p) for p in (AGENT_PROVIDER, LOG_PROVIDER, AGENT_PROVIDER)]
    batches, _ = render_batches(events)
    assert [(batch.provider, len(batch.events)) for batch in batches] == [
        (AGENT_PROVIDER, 2),
        (LOG_PROVIDER, 1),
    ]


@pytest.mark.parametrize(("last", "requests"), [(32255, 1), (32256, 2)])
def test_events_of_a_request_stay_under_64512_bytes(last: int, requests: int) -> None:
    """At the limit the next request begins."""
    batches, _ = render_batches([sized(32256), sized(last)])
    assert len(batches) == requests


@pytest.mark.parametrize(("size", "is_dropped"), [(64511, False), (64512, True)])
def test_event_that_fills_a_request_alone_is_given_back_as_oversized(
    size: int, is_dropped: bool
) -> None:
    """And those after it are sent nevertheless."""
    large, small = sized(size), event(("A", 1))
    batches, oversized = render_batches([large, small])
    sent = [one for batch in batches for one in batch.events]
    assert oversized == ((large,) if is_dropped else ())
    assert sent == [small] if is_dropped else sent == [large, small]


@given(
    st.lists(st.tuples(st.sampled_from([AGENT_PROVIDER, LOG_PROVIDER]), st.integers(200, 70000)))
)
def test_batches_hold_every_event_once_in_order_or_name_it_as_oversized(
    sizes: list[tuple[str, int]],
) -> None:
    """Nothing is lost between the outbox and the requests."""
    events = [sized(size, provider) for provider, size in sizes]
    batches, oversized = render_batches(events)
    for provider in (AGENT_PROVIDER, LOG_PROVIDER):
        sent = [e for batch in batches if batch.provider == provider for e in batch.events]
        fitting = [e for e in events if e.provider == provider and e not in oversized]
        assert sent == fitting
    for batch in batches:
        assert sum(len(render_event(e)) for e in batch.events) < MAX_EVENTS_BYTES
        assert batch.events


@given(st.lists(st.tuples(XML_ALLOWED, XML_ALLOWED)))
def test_server_reads_back_every_text_that_xml_can_carry(pairs: list[tuple[str, str]]) -> None:
    """Names as well as values, white space included."""
    (batch,), _ = render_batches([event(*pairs)])
    (parameters,) = received(batch.body)
    assert [(name, value) for name, value, _ in parameters] == pairs


@given(st.lists(st.tuples(st.text(st.characters()), st.text(st.characters()))))
def test_request_is_well_formed_whatever_an_event_says(pairs: list[tuple[str, str]]) -> None:
    """One event with a control character must not lose the batch it travels in."""
    (batch,), _ = render_batches([event(*pairs), event(("Name", "after"))])
    assert received(batch.body)[-1] == [("Name", "after", "mt:wstr")]


def test_spooled_event_is_read_as_it_was_written() -> None:
    """All kinds of values, and their order."""
    parameters = [("Name", "x"), ("OperationSuccess", True), ("Duration", 3), ("TenantName", None)]
    document = {
        "eventId": 1,
        "providerId": AGENT_PROVIDER,
        "parameters": [{"name": name, "value": value} for name, value in parameters],
        "file_type": "",
    }
    assert parse_event(json.dumps(document).encode()) == event(*parameters)


def test_event_that_an_extension_wrote_in_the_older_way_is_read() -> None:
    """A captured file."""
    parsed = parse_event(sample("events/custom_script_1.tld"))
    assert parsed.value("Name") == "Microsoft.Azure.Extensions.CustomScript"
    assert (parsed.value("OperationSuccess"), parsed.value("Duration")) == (True, 150000)


def test_event_in_the_older_xml_form_has_typed_values_and_a_text_id() -> None:
    """``False`` is false, which the reference gets wrong."""
    assert parse_event(XML_EVENT) == TelemetryEvent(
        "1",
        AGENT_PROVIDER,
        (
            ("Name", "P.T"),
            ("Duration", 12),
            ("Ratio", 0.5),
            ("OperationSuccess", False),
            ("IsInternal", True),
        ),
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[" * 100000,
        b'{"eventId": true, "providerId": "%s", "parameters": []}' % AGENT_PROVIDER.encode(),
        b'{"eventId": 1, "providerId": "\\"><x", "parameters": []}',
        b'{"eventId": 1, "providerId": "%s", "parameters": {}}' % AGENT_PROVIDER.encode(),
        b'{"eventId": 1, "providerId": "%s", "parameters": [1]}' % AGENT_PROVIDER.encode(),
        b'{"eventId": 1, "providerId": "%s", "parameters": [{"name": "x"}]}'
        % AGENT_PROVIDER.encode(),
        b"<Data/>",
        b"<Data",
        XML_EVENT.replace(b'"12"', b'"twelve"'),
        XML_EVENT.replace(b'Event id="1"', b'Event id="1&quot;"'),
        XML_EVENT.replace(b'Name="Name" ', b""),
        b"<!DOCTYPE Data [<!ENTITY e 'x'>]>" + XML_EVENT[21:],
    ],
)
def test_file_that_is_no_event_is_a_document_error(data: bytes) -> None:
    """Each of these would break the request it were put into, or the reader."""
    with pytest.raises(DocumentError):
        parse_event(data)


@given(
    st.binary() | st.text().map(str.encode) | st.binary().map(lambda tail: XML_EVENT[:90] + tail)
)
def test_reading_an_event_file_gives_an_event_or_a_document_error(data: bytes) -> None:
    """Nothing else, whatever an extension left in the folder."""
    try:
        parsed = parse_event(data)
    except DocumentError:
        return
    ET.fromstring(render_event(parsed))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["eventId", "providerId", "parameters", "other"])
PARAMETERS = st.fixed_dictionaries({"name": JSON_VALUES, "value": JSON_VALUES})


@given(
    st.dictionaries(
        KEYS, JSON_VALUES | st.just(1) | st.just(AGENT_PROVIDER) | st.lists(PARAMETERS, max_size=3)
    )
)
def test_any_json_object_gives_a_well_formed_element_or_a_document_error(document: Any) -> None:
    """Shapes that are nearly right are the dangerous ones."""
    try:
        parsed = parse_event(json.dumps(document).encode())
    except DocumentError:
        return
    ET.fromstring(render_event(parsed))


def test_recorded_events_are_encoded_to_what_was_recorded() -> None:
    """Values back from the recordings' texts, through our encoding, to the same texts."""
    texts = [
        (name, str(value))
        for request in recorded("wire.telemetry")
        for one in request["body_events"]["events"]
        for name, value in {**request["body_events"]["common"], **one["params"]}.items()
    ]
    assert len(texts) > 1000
    for start in range(0, len(texts), 50):
        (batch,), _ = render_batches([event(*texts[start : start + 50])])
        assert [pair[:2] for pair in received(batch.body)[0]] == texts[start : start + 50]
