"""Kill the programs that keep accounts at each of their steps: see ``cuts``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.integration.remoteaccess.test_users_real import argv_of

CUTS = "tests/integration/remoteaccess/cuts.py"


def main() -> int:
    """Run it on a copy of this machine."""
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(argv_of(Path(folder), CUTS, "-s"), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
