"""Status files and heartbeats, good and hostile: a valid report goes out whatever they hold."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import START, ManualClock
from tests.unit.extensions.world import NAME
from waagent.core.clock import Stop
from waagent.core.errors import DocumentError
from waagent.extensions.codes import StatusFault
from waagent.extensions.status import (
    MAX_SUBSTATUSES,
    TRUNCATED,
    Patience,
    Subject,
    parse_extension_status,
    read_extension_status,
)
from waagent.protocol.documents.status import (
    ExtensionStatus,
    GuestAgentStatus,
    GuestOsInfo,
    HandlerStatus,
    VmStatus,
    render_status,
)

SUBJECT = Subject(NAME, None, 3, NAME, "1.0")
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.sampled_from(["success", "error", "\ud800"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                ["status", "code", "formattedMessage", "message", "lang", "substatus", "name"]
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=20,
)


def content(**body: Any) -> bytes:
    """A status file."""
    return json.dumps([{"version": 1.0, "status": {"status": "success", **body}}]).encode()


def message(text: Any) -> dict[str, Any]:
    """A formatted message."""
    return {"lang": "en-US", "message": text}


def uploaded(extension: ExtensionStatus) -> dict[str, Any]:
    """What the fabric gets of it; fails if that is no strict JSON."""
    status = VmStatus(
        START,
        GuestAgentStatus(),
        GuestOsInfo("vm", "debian", "12"),
        (HandlerStatus(NAME, "1.0", extension=extension),),
    )

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    document = json.loads(render_status(status), parse_constant=refuse)
    record = document["aggregateStatus"]["handlerAggregateStatus"][0]
    found: dict[str, Any] = record["runtimeSettingsStatus"]["settingsStatus"]["status"]
    return found


def read(path: Path, data: bytes) -> ExtensionStatus:
    """The status of a file that was written long ago."""
    path.write_bytes(data)
    os.utime(path, (1, 1))
    clock = ManualClock()
    status = read_extension_status(path, SUBJECT, Patience(clock))
    assert clock.waits == []
    return status


@given(JSON)
def test_any_json_is_read_or_refused_and_can_be_uploaded(value: Any) -> None:
    """As an element's status, and as the whole document."""
    for document in (value, [value], [{"status": value}]):
        with contextlib.suppress(StatusFault, DocumentError):
            status = parse_extension_status(json.dumps(document).encode(), SUBJECT)
            assert uploaded(status)["name"] == NAME


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Nothing else is raised."""
    with contextlib.suppress(StatusFault, DocumentError):
        assert uploaded(parse_extension_status(data, SUBJECT))["name"] == NAME


def test_whole_status_is_taken_over(tmp_path: Path) -> None:
    """Every field, code of any kind."""
    sub = {"name": "part", "status": "warning", "code": "7", "formattedMessage": message("m")}
    data = content(
        operation="Enable",
        configurationAppliedTime="2026-01-01T00:00:00Z",
        code=5,
        formattedMessage=message("text"),
        substatus=[sub, None],
    )
    found = uploaded(read(tmp_path / "3.status", b"\xef\xbb\xbf" + data))
    assert found == {
        "name": NAME,
        "configurationAppliedTime": "2026-01-01T00:00:00Z",
        "operation": "Enable",
        "status": "success",
        "code": 5,
        "formattedMessage": {"lang": "en-US", "message": "text"},
        "substatus": [{**sub, "formattedMessage": {"lang": "en-US", "message": "m"}}],
    }


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"status": {}}', "The extension status must be an array: {"),
        (b"[{}]", "Invalid status format by extension: Missing status key"),
        (b'[{"status": {"code": 1}}]', "Invalid status format by extension: Missing status/status"),
        (b"[7]", "Missing status key"),
        (content(formattedMessage={"lang": "x"}), "formattedMessage needs lang, message"),
        (content(substatus=[{"name": "n"}]), "Missing substatus status key"),
        (content(substatus=[{"status": "fine"}]), "substatus status is 'fine'"),
        (content(substatus="many"), "substatus is no array"),
    ],
)
def test_malformed_status_is_reported_as_1012(tmp_path: Path, data: bytes, text: str) -> None:
    """With what is wrong."""
    status = read(tmp_path / "3.status", data)
    assert (status.status, status.code) == ("error", 1012)
    lead = f"Could not get a valid status from the extension {NAME}-1.0. Encountered the following"
    assert (status.message or "").startswith(lead)
    assert text in (status.message or "")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'[{"status": NaN'])
def test_status_that_is_no_json_is_reported_with_its_beginning(tmp_path: Path, data: bytes) -> None:
    """Code 1012; an empty file too, which once stopped all reporting (2.2.x)."""
    status = read(tmp_path / "3.status", data)
    assert (status.status, status.code) == ("error", 1012)
    assert (status.message or "").startswith(
        f"The status reported by the extension {NAME}-1.0(Sequence number 3), was in an incorrect"
        " format and the agent could not parse it correctly. Failed due to "
    )
    assert len(status.message or "") < 2400


@pytest.mark.parametrize("data", [b"null", b"[]"])
def test_empty_document_has_no_fields(tmp_path: Path, data: bytes) -> None:
    """It is accepted."""
    status = read(tmp_path / "3.status", data)
    assert (status.status, status.message) == (None, None)


def test_unknown_word_counts_as_an_error_but_is_not_malformed(tmp_path: Path) -> None:
    """The rest is kept."""
    status = read(tmp_path / "3.status", content(status="Success", code=4))
    assert (status.status, status.code) == ("error", 4)


def test_missing_file_is_a_transition_and_costs_no_waiting(tmp_path: Path) -> None:
    """The text that tools match."""
    clock = ManualClock()
    path = tmp_path / "3.status"
    status = read_extension_status(path, SUBJECT, Patience(clock))
    assert (status.status, status.code) == ("transitioning", 0)
    assert status.message == (
        "This status is being reported by the Guest Agent since no status file was reported by"
        f" extension {NAME}: [ExtensionStatusError] Status file {path} does not exist"
    )
    assert clock.waits == []


def test_file_that_is_being_written_is_read_again(tmp_path: Path) -> None:
    """Extensions write in place: five attempts, two seconds apart."""
    path = tmp_path / "3.status"
    path.write_bytes(content()[:20])
    clock = ManualClock()
    os.utime(path, (clock.now().timestamp(), clock.now().timestamp()))

    def finish() -> None:
        path.write_bytes(content())

    clock.at(3, finish)
    assert read_extension_status(path, SUBJECT, Patience(clock)).status == "success"
    assert clock.waits == [2.0, 2.0]


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_no_file_is_not_read(tmp_path: Path, kind: str) -> None:
    """A pipe would be read for ever."""
    path = tmp_path / "3.status"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    status = read_extension_status(path, SUBJECT, Patience(ManualClock()))
    assert (status.status, status.code) == ("error", -1)
    assert (status.message or "").startswith(
        f"We couldn't read any status for {NAME}-1.0 extension, for the sequence number 3."
    )


def test_oversized_status_is_cut_and_small_ones_never(tmp_path: Path) -> None:
    """Above 131072 characters: message at 1024, substatus at 10240, then whole ones go."""
    long = "s" * 20_000
    subs = [
        {"name": f"n{n}", "status": "success", "formattedMessage": message(long)} for n in range(20)
    ]
    status = read(
        tmp_path / "3.status", content(formattedMessage=message("m" * 1024), substatus=subs)
    )
    assert status.message == "m" * 1024 + TRUNCATED
    assert {item.message for item in status.substatus} == {"s" * 10240 + TRUNCATED}
    assert len(status.substatus) == 12
    small = read(tmp_path / "3.status", content(formattedMessage=message("m" * 130_000)))
    assert small.message == "m" * 130_000


def test_oversized_status_with_null_texts_is_reported(tmp_path: Path) -> None:
    """It must not take the whole VM's report along (EXT App. E 13)."""
    sub = {"name": None, "status": "success", "formattedMessage": message(None)}
    status = read(
        tmp_path / "3.status",
        content(formattedMessage=message(None), substatus=[sub], other="x" * 140_000),
    )
    assert (status.message, status.substatus[0].name) == (None, None)


def test_status_of_many_megabytes_is_an_error_of_its_own(tmp_path: Path) -> None:
    """It is not read into memory."""
    path = tmp_path / "3.status"
    with path.open("wb") as stream:
        stream.truncate(17 * 1024 * 1024)
    status = read_extension_status(path, SUBJECT, Patience(ManualClock()))
    assert (status.status, status.code) == ("error", -1)


def test_parts_that_were_read_before_a_fault_are_reported_with_it(tmp_path: Path) -> None:
    """Operation, time and earlier substatuses stay; message and code are the fault's (WIRE 7.3)."""
    good = {"name": "first", "status": "success", "formattedMessage": message("m")}
    status = read(
        tmp_path / "3.status",
        content(
            operation="Enable",
            configurationAppliedTime="2026-01-01T00:00:00Z",
            code=7,
            formattedMessage=message("lost"),
            substatus=[good, {"name": "bad"}, good],
        ),
    )
    assert (status.status, status.code, status.operation) == ("error", 1012, "Enable")
    assert status.configuration_applied_time == "2026-01-01T00:00:00Z"
    assert [item.name for item in status.substatus] == ["first"]
    assert "Missing substatus status key" in (status.message or "")


def test_oversized_status_keeps_a_thousand_substatuses_and_a_small_one_all(tmp_path: Path) -> None:
    """In the reference only names and messages count; a blob of megabytes is nobody's wish."""
    tiny = {"status": "success"}
    few = read(tmp_path / "3.status", content(substatus=[tiny] * 5000))
    assert len(few.substatus) == 5000
    many = read(tmp_path / "3.status", content(substatus=[tiny] * 50_000))
    assert len(many.substatus) == MAX_SUBSTATUSES


def test_oversized_status_is_complained_of_and_one_of_many_bytes_is_not(tmp_path: Path) -> None:
    """Characters count."""
    path, heard = tmp_path / "3.status", list[str]()
    for text in ("m" * 140_000, "\u20ac" * 100_000):
        path.write_text(json.dumps([{"status": {"status": "success", "x": text}}]), "utf-8")
        path.write_bytes(path.read_bytes().replace(b"\\u20ac", "\u20ac".encode()))
        read_extension_status(path, SUBJECT, Patience(ManualClock()), heard.append)
    (said,) = heard
    lead = f"The status of the extension {NAME}-1.0(Sequence number 3)"
    assert said == f"{lead} is over 131072 characters: its texts are cut"


def test_link_is_followed_within_the_handler_only(tmp_path: Path) -> None:
    """What is no status would be quoted to the portal, whoever's file it is."""
    folder, secret = tmp_path / "handler" / "status", tmp_path / "secret"
    folder.mkdir(parents=True)
    secret.write_text("root:$6$...")
    (folder.parent / "real").write_bytes(content(code=8))
    link = folder / "3.status"
    for target, code in (("../real", 8), ("../../secret", -1), (str(secret), -1)):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        status = read_extension_status(link, SUBJECT, Patience(ManualClock()))
        assert status.code == code
        assert "root:" not in (status.message or "")
    assert "it is a link out of the handler's folder" in (status.message or "")


def test_files_that_are_always_half_written_share_one_time_of_waiting(tmp_path: Path) -> None:
    """Twenty of them would hold up the report of all others for minutes; each has a last moment."""
    clock = ManualClock()
    patience = Patience(clock)
    for number in range(20):
        path = tmp_path / f"{number}.status"
        path.write_bytes(content()[:20])
        os.utime(path, (clock.now().timestamp(), clock.now().timestamp()))
        assert read_extension_status(path, SUBJECT, patience).code == 1012
    assert clock.waits == [2.0] * 4 + [0.5] * 19


def test_half_written_file_is_not_waited_for_when_told_to_stop(tmp_path: Path) -> None:
    """The service's manager waits."""
    clock, stop, path = ManualClock(), Stop(), tmp_path / "3.status"
    path.write_bytes(b"[")
    os.utime(path, (clock.now().timestamp(), clock.now().timestamp()))
    stop.set()
    assert read_extension_status(path, SUBJECT, Patience(clock, stop)).code == 1012
    assert clock.waits == []


def test_one_key_twice_counts_as_the_later_one(tmp_path: Path) -> None:
    """As every reader of JSON that we know has it."""
    data = b'[{"status": {"status": "error", "status": "success", "code": 1, "code": 2}}]'
    status = read(tmp_path / "3.status", data)
    assert (status.status, status.code) == ("success", 2)
