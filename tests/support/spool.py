"""Spooled events as tests look at them: the parameters of each by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def spooled(folder: Path) -> list[dict[str, Any]]:
    """The events of a spool, oldest first."""
    files = sorted(folder.glob("*.waagent.tld")) if folder.is_dir() else []
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    return [{p["name"]: p["value"] for p in document["parameters"]} for document in documents]


def operations(folder: Path) -> list[str]:
    """The operations that were reported, oldest first."""
    return [str(event.get("Operation", event.get("EventName"))) for event in spooled(folder)]
