"""Events of the extensions' own folders: what is taken, what is dropped and why."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.samples import sample
from waagent.core.errors import DocumentError, EventDropped
from waagent.core.events import LOG_EVENT, LOG_PROVIDER
from waagent.protocol.documents.extension_events import (
    MAX_MESSAGE,
    parse_event_items,
    parse_extension_event,
)

WHOLE: dict[str, Any] = {
    "Version": "1.2",
    "Timestamp": "2025-01-31T12:00:00Z",
    "TaskName": "Enable",
    "EventLevel": "Informational",
    "Message": "it works",
    "EventPid": "12",
    "EventTid": 34,
    "OperationId": "519e4beb",
}
KEYS = sorted(WHOLE)


def without(key: str) -> dict[str, Any]:
    """A whole event but for one key."""
    return {name: value for name, value in WHOLE.items() if name != key}


def test_whole_event_becomes_text_in_every_field() -> None:
    """Numbers are taken for the ids of process and thread."""
    event = parse_extension_event(WHOLE)
    assert (event.pid, event.tid, event.message, event.version) == ("12", "34", "it works", "1.2")


def test_event_is_sent_with_its_own_names_among_the_common_parameters() -> None:
    """Task and ids in place, the rest behind."""
    common = [("GAVersion", "g"), ("EventTid", 1), ("EventPid", 2), ("TaskName", "t"), ("RAM", 3)]
    event = parse_extension_event(WHOLE).telemetry(
        "P.T", common, event_id=LOG_EVENT, provider=LOG_PROVIDER
    )
    assert (event.event_id, event.provider) == (LOG_EVENT, LOG_PROVIDER)
    assert event.parameters == (
        ("GAVersion", "g"),
        ("EventTid", "34"),
        ("EventPid", "12"),
        ("TaskName", "Enable"),
        ("RAM", 3),
        ("EventName", "P.T-1.2"),
        ("CapabilityUsed", "Informational"),
        ("Context1", "it works"),
        ("Context2", "2025-01-31T12:00:00Z"),
        ("Context3", "519e4beb"),
    )


def test_captured_file_gives_its_eight_events() -> None:
    """Its keys are spelled otherwise than the documentation says."""
    events = [
        parse_extension_event(item) for item in parse_event_items(sample("events/1591905451.json"))
    ]
    assert len(events) == 8
    assert events[0].message == "Starting IaaS ScriptHandler Extension v1"
    assert events[0].timestamp == "2019-12-12T01:20:05.0950244Z"


def test_file_with_one_event_needs_no_array() -> None:
    """Both forms are in use."""
    assert parse_event_items(json.dumps(WHOLE).encode()) == [WHOLE]


@pytest.mark.parametrize("key", KEYS)
def test_event_without_a_key_is_dropped_with_the_name_of_the_key(key: str) -> None:
    """So that the extension's author can find it."""
    with pytest.raises(EventDropped, match=f"MissingKeyError: {key}"):
        parse_extension_event(without(key))


def test_keys_are_found_whatever_their_case_and_others_are_ignored() -> None:
    """Extensions in many languages write these."""
    event = parse_extension_event({**{k.upper(): v for k, v in WHOLE.items()}, "more": [1]})
    assert event == parse_extension_event(WHOLE)


@pytest.mark.parametrize("message", ["", "  \n"])
def test_event_with_an_empty_message_is_dropped(message: str) -> None:
    """It says nothing."""
    with pytest.raises(EventDropped, match="EmptyMessageError"):
        parse_extension_event({**WHOLE, "Message": message})


@pytest.mark.parametrize(
    ("key", "value"),
    [("Message", 1), ("EventLevel", None), ("EventPid", True), ("EventTid", 1.5), ("Version", [])],
)
def test_event_with_another_type_is_dropped(key: str, value: object) -> None:
    """Only the two ids may be numbers."""
    with pytest.raises(EventDropped, match=f"InvalidTypeError: {key}"):
        parse_extension_event({**WHOLE, key: value})


@pytest.mark.parametrize("item", [None, 1, "text", [WHOLE]])
def test_item_that_is_no_object_is_dropped(item: object) -> None:
    """The others of its file are not."""
    with pytest.raises(EventDropped, match="InvalidTypeError"):
        parse_extension_event(item)


def test_message_is_cut_to_3072_characters() -> None:
    """Cut, not dropped."""
    assert len(parse_extension_event({**WHOLE, "Message": "x" * 5000}).message) == MAX_MESSAGE


@pytest.mark.parametrize(("length", "fits"), [(6144, True), (6145, False)])
def test_event_over_6144_characters_is_dropped(length: int, fits: bool) -> None:
    """All fields together, but for the last."""
    others = sum(len(str(WHOLE[key])) for key in KEYS if key not in ("OperationId", "Version"))
    item = {**WHOLE, "OperationId": "x" * (length - others)}
    if fits:
        assert parse_extension_event(item).operation_id
    else:
        with pytest.raises(EventDropped, match="OversizeEventError"):
            parse_extension_event(item)


def test_size_of_the_last_field_is_not_counted() -> None:
    """Extensions have come to rely on it."""
    assert len(parse_extension_event({**WHOLE, "Version": "1" * 9000}).version) == 9000


def test_values_are_trimmed_and_lose_their_sas_tokens() -> None:
    """In every field."""
    leak = " https://a.blob.core.windows.net/x?sv=1&sig=secret "
    event = parse_extension_event({**WHOLE, "Message": leak, "TaskName": leak})
    assert event.message == event.task_name == "https://a.blob.core.windows.net/x?<redacted>"


ITEMS = st.dictionaries(
    st.sampled_from([*KEYS, "message", "other"]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
)


@given(ITEMS | st.just(WHOLE))
def test_any_item_is_an_event_or_dropped(item: Any) -> None:
    """Nothing else is raised."""
    try:
        event = parse_extension_event(item)
    except EventDropped:
        return
    assert event.message


@given(st.binary() | st.text().map(str.encode))
def test_any_file_gives_items_or_a_document_error(data: bytes) -> None:
    """Nothing else is raised."""
    try:
        assert isinstance(parse_event_items(data), list)
    except DocumentError:
        return
