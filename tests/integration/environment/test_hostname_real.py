"""A name given to the kernel by ``hostname`` is heard of at once: the period here is an hour.

In namespaces of its own (host name, mounts, network, processes), on a copy that is thrown away.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_guest_real import PROJECT, SANDBOX


@pytest.mark.root
def test_new_host_name_is_published_as_soon_as_the_kernel_has_it(tmp_path: Path) -> None:
    python = shlex.quote(sys.executable)
    module = "tests.integration.environment.inside"
    inner = f"cd {shlex.quote(str(PROJECT))} && exec {python} -m {module}"
    script = SANDBOX.format(place=shlex.quote(str(tmp_path)), command=shlex.quote(inner))
    argv = ["unshare", "-m", "-u", "-n", "-p", "--fork", "--kill-child", "/bin/sh", "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"\nnoticed, kept and recorded after {found.pop('seconds')} s")
    assert found == {
        "record is made": True,
        "new name is recorded": True,
        "/etc/hostname": "second-name\n",
        "thread ends": True,
        "events": 0,
    }
