"""Devices get their addresses from the real ``ip``, in a network of their own."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_guest_real import PROJECT, SANDBOX


@pytest.mark.root
def test_sriov_devices_are_up_with_the_addresses_that_the_host_tells(tmp_path: Path) -> None:
    module = "tests.integration.rdma.inside"
    inner = f"cd {shlex.quote(str(PROJECT))} && exec {shlex.quote(sys.executable)} -m {module}"
    script = SANDBOX.format(place=shlex.quote(str(tmp_path)), command=shlex.quote(inner))
    argv = ["unshare", "-m", "-u", "-n", "-p", "--fork", "--kill-child", "/bin/sh", "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "eth7": {"is up": True, "addresses": ["172.16.1.7/16"]},
        "eth8": {"is up": True, "addresses": ["172.16.1.8/16"]},
    }
