"""Documents that are read once and remembered."""

from __future__ import annotations

import pytest

from waagent.core.remembered import MAX_BYTES, remembered


class Reading:
    """Counts how often something is read."""

    def __init__(self) -> None:
        self.times = 0

        @remembered(2)
        def parse(data: bytes, unit: str) -> str:
            """What the data says."""
            self.times += 1
            if data == b"bad":
                raise ValueError("bad")
            return f"{len(data)} {unit}"

        self.parse = parse


def test_same_document_is_read_once() -> None:
    reading = Reading()
    assert [reading.parse(b"abc", "bytes") for _ in range(3)] == ["3 bytes"] * 3
    assert reading.times == 1


def test_other_content_or_another_question_is_read() -> None:
    reading = Reading()
    assert reading.parse(b"abc", "bytes") == "3 bytes"
    assert reading.parse(b"abd", "letters") == "3 letters"
    assert reading.parse(b"abd", "bytes") == "3 bytes"
    assert reading.times == 3


def test_only_the_last_documents_are_kept() -> None:
    reading = Reading()
    for data in (b"a", b"b", b"c", b"a"):
        reading.parse(data, "bytes")
    assert reading.times == 4


def test_large_document_is_read_each_time() -> None:
    reading = Reading()
    for size in (MAX_BYTES, MAX_BYTES + 1):
        reading.parse(b"x" * size, "bytes")
        reading.parse(b"x" * size, "bytes")
    assert reading.times == 3


def test_failure_is_not_remembered() -> None:
    reading = Reading()
    for _ in range(2):
        with pytest.raises(ValueError, match="bad"):
            reading.parse(b"bad", "bytes")
    assert reading.times == 2


def test_function_keeps_its_name_and_its_words() -> None:
    assert (Reading().parse.__name__, Reading().parse.__doc__) == ("parse", "What the data says.")
