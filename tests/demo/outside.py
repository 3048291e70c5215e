"""This machine as it is outside of the guest, to see that nothing of it has changed."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

FILES = (
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/ssh/sshd_config",
    "/etc/waagent.conf",
    "/var/log/waagent.log",
    "/run/waagent.pid",
)
FOLDERS = ("/var/lib/waagent", "/etc/sudoers.d", "/etc/ssh", "/home", "/dev", "/usr/sbin")


def observe() -> dict[str, str]:
    """What could change, each as a short text."""
    facts = {
        "host name": socket.gethostname(),
        "interfaces": " ".join(sorted(name for _, name in socket.if_nameindex())),
        "mounts": _mounts(),
        "routes": Path("/proc/net/route").read_text(encoding="utf-8"),
    }
    facts.update({name: _digest(Path(name)) for name in FILES})
    facts.update({name: _listing(Path(name)) for name in FOLDERS})
    return facts


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What is not as it was."""
    return [name for name in before if before[name] != after.get(name)]


def _mounts() -> str:
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    return "\n".join(sorted(" ".join(line.split(" ")[3:5]) for line in text.splitlines()))


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as e:
        return type(e).__name__


def _listing(path: Path) -> str:
    try:
        return " ".join(sorted(entry.name for entry in path.iterdir()))
    except OSError as e:
        return type(e).__name__
