"""The agent's version, read as text so that nothing of the agent is imported."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def read_version() -> str:
    """What waagent/core/version.py says."""
    text = (PROJECT / "waagent/core/version.py").read_text(encoding="utf-8")
    found = re.search(r'^AGENT_VERSION = "([0-9.]+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit("cannot find AGENT_VERSION in waagent/core/version.py")
    return found.group(1)
