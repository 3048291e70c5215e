"""Finds the real fabric documents, which are not part of the project (their README says more).

Beside the project, or where ``WAAGENT_SAMPLES`` points.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def sample(name: str) -> bytes:
    """One document; where the samples are absent the test is skipped, in CI it fails."""
    place = os.environ.get("WAAGENT_SAMPLES")
    folder = Path(place) if place else PROJECT.parent / "shared" / "samples"
    if folder.is_dir():
        return (folder / name).read_bytes()
    reason = f"the sample documents are not in {folder}; WAAGENT_SAMPLES can point to them"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
