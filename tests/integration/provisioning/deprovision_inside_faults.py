"""Deprovision on a disk that refuses: a clear report, nothing half written, and a run that does it.

Started by ``test_deprovision_real``; anywhere else everything fails before it does anything.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.integration.provisioning import generalized as machine
from tests.integration.provisioning.generalized import LIB, USER, run_waagent

ETC = Path("/etc")
SMALL = Path("/run/small")
FILLER = SMALL / "filler"
WHOLE = ("passwd", "group", "sudoers.d/waagent", "dhcp/dhclient.conf", "hostname", "shadow")


def run(*argv: str) -> None:
    """A program that must do its work."""
    subprocess.run(argv, check=True, capture_output=True)


@contextlib.contextmanager
def read_only_etc() -> Iterator[None]:
    """Nothing can be written or removed there."""
    run("mount", "--bind", "/etc", "/etc")
    try:
        run("mount", "-o", "remount,bind,ro", "/etc")
        yield
    finally:
        run("umount", "/etc")


@contextlib.contextmanager
def full_etc() -> Iterator[None]:
    """What is written there finds no room; names can still be removed."""
    SMALL.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(SMALL))
    for name in ("upper", "work"):
        (SMALL / name).mkdir()
    layers = f"lowerdir=/etc,upperdir={SMALL}/upper,workdir={SMALL}/work"
    run("mount", "-t", "overlay", "overlay", "-o", layers, "/etc")
    try:
        with contextlib.suppress(OSError), FILLER.open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        yield
    finally:
        run("umount", "/etc")
        run("umount", str(SMALL))
        SMALL.rmdir()


def assert_refused(done: subprocess.CompletedProcess[str], words: str) -> None:
    """It failed, said why, and fell over nothing."""
    assert done.returncode == 1
    assert words in done.stdout
    assert "Failed to deprovision all of it" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def files_of_etc() -> dict[str, bytes]:
    """Those that deprovision edits."""
    return {name: (ETC / name).read_bytes() for name in WHOLE}


def test_read_only_etc_is_reported_and_the_next_run_does_it() -> None:
    machine.make_used()
    before = files_of_etc()
    with read_only_etc():
        assert_refused(run_waagent("-deprovision+user", "-force"), "Read-only file system")
        assert files_of_etc() == before
    assert machine.has_account(USER)
    assert [path.name for path in LIB.iterdir()] == ["ovf-env.xml"]
    assert run_waagent("-deprovision+user", "-force").returncode == 0
    assert not machine.has_account(USER)
    assert list(LIB.iterdir()) == []


def test_full_disk_leaves_every_file_of_etc_whole() -> None:
    machine.make_used()
    before = files_of_etc()
    with full_etc():
        assert_refused(run_waagent("-deprovision", "-force"), "No space left on device")
        assert files_of_etc() == before
        assert not (ETC / "ssh/ssh_host_ed25519_key").exists()
        FILLER.unlink()
        assert run_waagent("-deprovision", "-force").returncode == 0
        assert (ETC / "hostname").read_text("utf-8").strip() == "localhost.localdomain"


def test_state_in_memory_alone_is_gone_with_the_power_anyway() -> None:
    machine.make_used()
    run("mount", "-t", "tmpfs", "tmpfs", str(LIB))
    try:
        done = run_waagent("-deprovision", "-force")
    finally:
        run("umount", str(LIB))
    assert done.returncode == 0
    assert f"left alone: {LIB}: a mount point of tmpfs (tmpfs), gone with the power" in done.stdout
