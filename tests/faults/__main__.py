"""Write docs/faults.md; with `run`, run every row of it that has real programs."""

from __future__ import annotations

import subprocess
import sys

from tests.faults.document import DOCUMENT, render

FILES = ("tests/e2e/every_fault.py", "tests/e2e/test_fault_table.py")

if sys.argv[1:] == ["run"]:
    spread = ("-n", "8", "--dist", "worksteal")
    argv = (sys.executable, "-m", "pytest", "-v", *spread, *FILES)
    sys.exit(subprocess.run(argv, cwd=DOCUMENT.parents[1], check=False).returncode)
DOCUMENT.write_text(render(), encoding="utf-8")
