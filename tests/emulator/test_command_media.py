"""`python -m tests.fabric` as a whole Azure host: DHCP on a cable, and the disc for the drive."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.emulator.cable import Wire, run_udhcpc

pytestmark = pytest.mark.root

ROOT = Path(__file__).resolve().parents[2]


def test_command_leases_an_address_and_writes_the_disc(wire: Wire, tmp_path: Path) -> None:
    image = tmp_path / "media.iso"
    words = ["--dhcp", "fabric0", "--media", str(image), "--password", "a password"]
    wire.fabric.run("ip", "link", "set", "lo", "up")
    process = wire.fabric.call(
        lambda: subprocess.Popen(
            [sys.executable, "-m", "tests.fabric", *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
    )
    with process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        told = run_udhcpc(wire, tmp_path, "-O", "245")
        process.send_signal(signal.SIGTERM)
        stopped = json.loads(process.stdout.readlines()[-1])
    assert process.returncode == 0
    assert (told["ip"], told["opt245"]) == ("10.0.0.4", "a83f8110")
    assert stopped["violations"] == []
    assert started["media"] == str(image)
    assert b"<UserPassword>a password</UserPassword>" in image.read_bytes()
