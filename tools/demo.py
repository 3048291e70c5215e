"""`make demo`: set up what the demonstration needs, then run it (tests/demo)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.environments import ROOT, choose_environments
from tools.interpreters import find_interpreters

# What the demonstration, and the guest that is a view of this machine, run; and Debian's packages.
NEEDED = {
    "ip": "iproute2",
    "mksquashfs": "squashfs-tools",
    "genisoimage": "genisoimage",
    "udhcpc": "udhcpc",
    "ssh-keygen": "openssh-client",
    "sudo": "sudo",
    "useradd": "passwd",
    "runuser": "util-linux",
}
INSTALL = ("apt-get", "install", "-y", "-qq", "--no-install-recommends")


def find_missing() -> list[str]:
    """The packages whose programs are not there."""
    return sorted({package for name, package in NEEDED.items() if shutil.which(name) is None})


def install(packages: list[str]) -> None:
    """Install with apt, or say what somebody has to install."""
    if shutil.which("apt-get") is None:
        raise SystemExit(
            f"cannot run the demonstration: install what Debian has as {', '.join(packages)}"
        )
    print(f"Installing {', '.join(packages)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for argv in (("apt-get", "update", "-qq"), (*INSTALL, *packages)):
        done = subprocess.run(
            argv, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"cannot run {' '.join(argv)}:\n{done.stdout}{done.stderr}")


def main() -> int:
    """Check, set up, and become the demonstration."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        print(
            "make demo needs root on Linux: it makes mount, network, pid, ipc and uts namespaces,\n"
            "an overlay and a loop device, and takes all away again. Run it so: sudo make demo",
            file=sys.stderr,
        )
        return 1
    missing = find_missing()
    if missing:
        install(missing)
    environment = choose_environments(find_interpreters())[0]
    environment.ensure()
    argv = [str(environment.python), "-m", "tests.demo"]
    try:
        return subprocess.run(argv, cwd=ROOT, check=False).returncode
    except KeyboardInterrupt:  # it was told the same, and has ended what it started
        return 130


if __name__ == "__main__":
    sys.exit(main())
