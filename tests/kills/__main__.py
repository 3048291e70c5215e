"""Write docs/kills.md; with `run`, play every row of it, and kill at every step."""

from __future__ import annotations

import subprocess
import sys

from tests.kills.document import DOCUMENT, render

FILES = ("tests/kills/every_point.py", "tests/kills/every_step.py")

if sys.argv[1:] == ["run"]:
    spread = ("-n", "4", "--dist", "worksteal")
    argv = (sys.executable, "-m", "pytest", "-v", *spread, *FILES)
    sys.exit(subprocess.run(argv, cwd=DOCUMENT.parents[1], check=False).returncode)
DOCUMENT.write_text(render(), encoding="utf-8")
