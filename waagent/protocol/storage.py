"""How a status blob is written to Azure storage: block blobs and page blobs, as values.

Source: spec WIRE 7.5. Whether a request goes direct or through the host is not decided here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Optional

from waagent.core.clock import timestamp_s
from waagent.core.records import dataclass, field

STORAGE_VERSION = "2014-02-14"
PAGE = 512
MOST_BYTES_A_WRITE = 4 * 1024 * 1024


@dataclass(frozen=True)
class BlobRequest:
    """One PUT to storage; ``body`` is ``None`` where a page blob is only created.

    ``complaint`` begins the message when the host does not take it.
    """

    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...]
    body: Optional[bytes] = field(default=None, repr=False)
    complaint: str = ""


def plan_block_blob(url: str, body: bytes, now: datetime) -> tuple[BlobRequest, ...]:
    """The one request that writes a whole block blob."""
    headers = (
        ("Content-Length", str(len(body))),
        ("x-ms-blob-type", "BlockBlob"),
        ("x-ms-date", timestamp_s(now)),
        ("x-ms-version", STORAGE_VERSION),
    )
    return (BlobRequest(url, headers, body, "HostGAPlugin: Put BlockBlob failed"),)


def plan_page_blob(url: str, body: bytes, now: datetime, padding: bytes) -> tuple[BlobRequest, ...]:
    """Create a page blob of whole pages, then write it in pieces of at most 4 MiB.

    ``padding`` is the byte that fills the last page: NUL when written direct, a space when the
    host writes it.
    """
    size = -(-len(body) // PAGE) * PAGE
    padded = body + padding * (size - len(body))
    common = (("x-ms-date", timestamp_s(now)), ("x-ms-version", STORAGE_VERSION))
    create = (
        ("Content-Length", "0"),
        ("x-ms-blob-content-length", str(size)),
        ("x-ms-blob-type", "PageBlob"),
        *common,
    )
    requests = [BlobRequest(url, create, complaint="HostGAPlugin: Failed PageBlob clean-up")]
    page_url = f"{url}{'&' if '?' in url else '?'}comp=page"
    for start in range(0, size, MOST_BYTES_A_WRITE):
        piece = padded[start : start + MOST_BYTES_A_WRITE]
        headers = (
            ("Content-Length", str(len(piece))),
            common[0],
            ("x-ms-range", f"bytes={start}-{start + len(piece) - 1}"),
            ("x-ms-page-write", "update"),
            common[1],
        )
        complaint = f"HostGAPlugin Error: Put PageBlob bytes [{start},{start + len(piece)}]"
        requests.append(BlobRequest(page_url, headers, piece, complaint))
    return tuple(requests)
