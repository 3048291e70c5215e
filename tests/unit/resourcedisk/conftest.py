"""All that is logged is seen."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
