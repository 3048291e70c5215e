"""Property tests are not timed: a machine that does much else at the time is no defect."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
