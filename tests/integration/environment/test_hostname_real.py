"""How the agent and a real kernel get along about the host name.

A name given to the kernel by ``hostname`` is heard of at once: the period here is an hour.

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


def run_inside(folder: Path, module: str, *before: str) -> dict[str, object]:
    """What a module found on a machine that is thrown away; ``before`` starts its Python."""
    python = shlex.join([*before, sys.executable])
    read_only = "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys"
    inner = f"{read_only} && cd {shlex.quote(str(PROJECT))} && exec {python} -m {module}"
    script = SANDBOX.format(place=shlex.quote(str(folder)), command=shlex.quote(inner))
    argv = ["unshare", "-m", "-u", "-n", "-p", "--fork", "--kill-child", "/bin/sh", "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


@pytest.mark.root
@pytest.mark.parametrize("may_name", [True, False])
def test_kernel_is_named_where_it_takes_a_name_and_else_the_name_asked_for_is_kept(
    tmp_path: Path, may_name: bool
) -> None:
    """By system call, with /proc/sys read-only; else as in a container, without the capability."""
    before = () if may_name else ("setpriv", "--bounding-set=-sys_admin")
    found = run_inside(tmp_path, "tests.integration.environment.inside_named", *before)
    assert found == {
        "/proc/sys is read-only": True,
        "kernel": "vm-7" if may_name else found["kernel before"],
        "kernel before": found["kernel before"],
        "/etc/hostname": "vm-7\n",
        "record": "vm-7",
    }


@pytest.mark.root
def test_new_host_name_is_published_as_soon_as_the_kernel_has_it(tmp_path: Path) -> None:
    found = run_inside(tmp_path, "tests.integration.environment.inside")
    print(f"\nnoticed, kept and recorded after {found.pop('seconds')} s")
    assert found == {
        "record is made": True,
        "new name is recorded": True,
        "/etc/hostname": "second-name\n",
        "thread ends": True,
        "events": 0,
    }
