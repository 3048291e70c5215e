"""`make bench`: set up what the measuring needs, then run it (tests/bench)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.apt import ensure_programs
from tools.environments import ROOT, choose_environments
from tools.interpreters import find_interpreters

# What builds an image and boots it, and Debian's packages.
NEEDED = {
    "qemu-system-x86_64": "qemu-system-x86",
    "debootstrap": "debootstrap",
    "mkfs.ext4": "e2fsprogs",
    "genisoimage": "genisoimage",
    "ip": "iproute2",
    "ssh-keygen": "openssh-client",
    "setpriv": "util-linux",
}


def main(argv: list[str]) -> int:
    """Check, set up, and become the measuring."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        print("make bench needs root on Linux. Run it so: sudo make bench", file=sys.stderr)
        return 1
    ensure_programs(NEEDED, "measure")
    environment = choose_environments(find_interpreters())[0]
    environment.ensure()
    words = [str(environment.python), "-m", "tests.bench", *argv]
    try:
        return subprocess.run(words, cwd=ROOT, check=False).returncode
    except KeyboardInterrupt:  # it was told the same, and has ended what it started
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
