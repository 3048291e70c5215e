"""`make endurance`: a thousand goal states each way, and all the rest; COUNT= is another number."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

if __name__ == "__main__":
    count = sys.argv[1] if sys.argv[1:] else "1000"
    argv = (sys.executable, "-m", "pytest", "-v", "-rA", "-n", "2", str(FOLDER))
    environment = {**os.environ, "ENDURANCE_GOAL_STATES": count}
    done = subprocess.run(argv, cwd=FOLDER.parents[1], env=environment, check=False)
    sys.exit(done.returncode)
