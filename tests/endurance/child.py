"""The child as a process of its own whose clock is fast: ROOT ADDRESSES SPEED OFFSET-FILE."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.endurance.clock import FastClock
from tests.integration.child import main

if __name__ == "__main__":
    root, addresses, speed, offset = sys.argv[1:]
    clock = FastClock(float(speed), Path(offset))
    sys.exit(main(Path(root), json.loads(addresses), clock=clock))
