"""A fabric's network and a guest's in namespaces of their own, and a real DHCP client."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.demo.namespaces import NetworkNamespace, await_link

SCRIPT = """#!/bin/sh
[ "$1" = bound ] || exit 0
env | sort > "$SEEN"
ip address add "$ip/$mask" dev "$interface"
"""
LINK = ("ip", "link", "add", "fabric0", "type", "veth", "peer", "name", "eth0", "netns")


class Wire:
    """A fabric's network and a guest's, joined by a cable."""

    def __init__(self) -> None:
        self.fabric, self.guest = NetworkNamespace(), NetworkNamespace()
        holder = self.guest.call(lambda: subprocess.Popen(["cat"], stdin=subprocess.PIPE))
        self.fabric.run(*LINK, str(holder.pid))
        holder.communicate()
        self.fabric.run("ip", "address", "add", "10.0.0.1/24", "dev", "fabric0")
        self.fabric.run("ip", "link", "set", "fabric0", "up")
        self.guest.run("ip", "link", "set", "eth0", "up")
        await_link(lambda: self.guest.run("ip", "-brief", "link", "show", "dev", "eth0"))

    def close(self) -> None:
        """Cut it."""
        self.fabric.close()
        self.guest.close()


def run_udhcpc(wire: Wire, tmp_path: Path, *words: str) -> dict[str, str]:
    """Lease an address with busybox's client; returns what it was told."""
    client = shutil.which("udhcpc")
    assert client, "udhcpc is missing: install the package udhcpc"
    script, seen = tmp_path / "script", tmp_path / "seen"
    script.write_text(SCRIPT, encoding="utf-8")
    script.chmod(0o755)
    argv = ["env", f"SEEN={seen}", client, "-i", "eth0", "-f", "-q", "-n", "-t", "5", "-T", "1"]
    wire.guest.run(*argv, "-s", str(script), *words)
    lines = seen.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)
