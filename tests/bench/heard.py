"""What the fabric heard and when: moments, read from the emulator's journal. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Optional

from tests.fabric.decoding import decode_body
from tests.fabric.emulator import handler_items
from tests.fabric.journal import Entry

STATUS_ENDPOINTS = ("hgap.status", "storage.system")


def find_health(entries: Iterable[Entry], state: str) -> Optional[float]:
    """When the guest first reported a state."""
    wanted = f"<State>{state}</State>".encode()
    return next((e.time for e in entries if e.endpoint == "wire.health" and wanted in e.body), None)


def statuses(entries: Iterable[Entry]) -> Iterator[tuple[float, dict[str, Any]]]:
    """Every status document with the moment of its arrival."""
    for entry in entries:
        if entry.endpoint not in STATUS_ENDPOINTS or entry.fault or not 0 < entry.answer < 400:
            continue
        decoded = decode_body(entry)
        document = decoded.get("body_content")
        if document is None and "body" in decoded:
            try:
                document = json.loads(decoded["body"].rstrip("\0 "))
            except ValueError:
                continue
        if isinstance(document, dict) and "aggregateStatus" in document:
            yield entry.time, document


def find_success(entries: Iterable[Entry], extension: str, seq_no: int) -> Optional[float]:
    """When the first status arrived that says success for a sequence number."""
    return next((t for t, d in statuses(entries) if _succeeded(d, extension, seq_no)), None)


def find_status_after(entries: Iterable[Entry], moment: float) -> Optional[float]:
    """When the first status after a moment arrived."""
    return next((t for t, _ in statuses(e for e in entries if e.time > moment)), None)


def count_requests(entries: Iterable[Entry], start: float, end: float) -> dict[str, int]:
    """Requests by endpoint in a window; mirrors of one thing are one endpoint."""
    inside = (e for e in entries if start <= e.time < end and not e.endpoint.startswith("dhcp"))
    counted = Counter(re.sub(r"(?<=[a-z])\d$", "", e.endpoint) for e in inside)
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def render_requests(entries: Iterable[Entry], start: float) -> str:
    """One line a request: seconds since a moment, since the request before, and what it was."""
    lines, before = [], start
    for e in entries:
        lines.append(
            f"{e.time - start:9.3f} {e.time - before:+8.3f}  {e.answer} {e.method:<4} {e.endpoint}"
        )
        before = e.time
    return "\n".join(lines) + "\n"


def _succeeded(document: dict[str, Any], extension: str, seq_no: int) -> bool:
    for item in handler_items(document, extension):
        runtime = item.get("runtimeSettingsStatus", {})
        said = runtime.get("settingsStatus", {}).get("status", {}).get("status")
        if (runtime.get("sequenceNumber"), said) == (seq_no, "success"):
            return True
    return False
