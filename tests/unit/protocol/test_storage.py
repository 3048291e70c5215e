"""How a status blob is written, request by request (WIRE 7.5)."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from waagent.protocol.storage import (
    MOST_BYTES_A_WRITE,
    BlobRequest,
    plan_block_blob,
    plan_page_blob,
)

URL = "https://acct.blob.core.windows.net/$system/vm.status?sv=1&sig=secret"
NOW = datetime(2025, 1, 31, 12, 0, 0, 999999, tzinfo=timezone.utc)


def test_block_blob_is_one_request_with_the_storage_headers() -> None:
    (request,) = plan_block_blob(URL, b"{}", NOW)
    assert request.url == URL
    assert request.body == b"{}"
    assert dict(request.headers) == {
        "Content-Length": "2",
        "x-ms-blob-type": "BlockBlob",
        "x-ms-date": "2025-01-31T12:00:00Z",
        "x-ms-version": "2014-02-14",
    }


def test_page_blob_is_created_in_whole_pages_and_then_filled() -> None:
    create, page = plan_page_blob(URL, b"x" * 513, NOW, b" ")
    assert create.body is None
    assert dict(create.headers) == {
        "Content-Length": "0",
        "x-ms-blob-content-length": "1024",
        "x-ms-blob-type": "PageBlob",
        "x-ms-date": "2025-01-31T12:00:00Z",
        "x-ms-version": "2014-02-14",
    }
    assert page.url == URL + "&comp=page"
    assert page.body == b"x" * 513 + b" " * 511
    assert dict(page.headers) == {
        "Content-Length": "1024",
        "x-ms-date": "2025-01-31T12:00:00Z",
        "x-ms-range": "bytes=0-1023",
        "x-ms-page-write": "update",
        "x-ms-version": "2014-02-14",
    }


@pytest.mark.parametrize(
    ("size", "ranges"),
    [
        (1, ["bytes=0-511"]),
        (512, ["bytes=0-511"]),
        (MOST_BYTES_A_WRITE, ["bytes=0-4194303"]),
        (MOST_BYTES_A_WRITE + 1, ["bytes=0-4194303", "bytes=4194304-4194815"]),
        (0, []),
    ],
)
def test_pages_cover_the_blob_without_gap_or_overlap(size: int, ranges: list[str]) -> None:
    _, *pages = plan_page_blob(URL, b"x" * size, NOW, b"\0")
    assert [dict(page.headers)["x-ms-range"] for page in pages] == ranges
    written = b"".join(page.body or b"" for page in pages)
    assert len(written) % 512 == 0
    assert written.rstrip(b"\0") == b"x" * size


def test_page_of_a_url_without_query_begins_one() -> None:
    _, page = plan_page_blob("https://a/b", b"x", NOW, b"\0")
    assert page.url == "https://a/b?comp=page"


def test_url_with_its_token_is_not_shown() -> None:
    assert "secret" not in repr(BlobRequest(URL, (), b"body"))
    assert "secret" not in repr(plan_block_blob(URL, b"{}", NOW))
