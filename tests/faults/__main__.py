"""Write docs/faults.md."""

from __future__ import annotations

from tests.faults.document import DOCUMENT, render

DOCUMENT.write_text(render(), encoding="utf-8")
