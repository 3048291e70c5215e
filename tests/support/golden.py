"""The recordings of the reference agent, as the tests of single documents read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "data" / "golden"


def recordings() -> list[str]:
    """The names of all transcripts; a test that found none would prove nothing."""
    names = sorted(path.name for path in FOLDER.glob("*.jsonl"))
    assert names, f"there is no recording in {FOLDER}"
    return names


def recorded(endpoint: str, name: str = "") -> Iterator[dict[str, Any]]:
    """All requests to an endpoint, of one transcript or of all, in order."""
    for recording in [name] if name else recordings():
        for line in (FOLDER / recording).read_text(encoding="utf-8").splitlines():
            request = json.loads(line)
            if request["endpoint"] == endpoint:
                yield request
