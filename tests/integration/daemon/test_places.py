"""Where the daemon stands: lib dir, pid file, standard streams, FIPS mode, signals."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Optional

import pytest

from tests.integration.daemon.process import DaemonProcess

RUNNING = "is successfully running"


@pytest.mark.parametrize(("mode", "kept"), [(0o777, 0o755), (0o775, 0o755), (0o1770, 0o1750)])
def test_lib_dir_that_others_can_write_is_tightened_with_a_warning(
    tmp_path: Path, mode: int, kept: int
) -> None:
    lib = tmp_path / "var/lib/waagent"
    lib.mkdir(parents=True)
    lib.chmod(mode)
    with DaemonProcess(tmp_path) as daemon:
        assert "WARNING" in daemon.until("could be written by others")
        daemon.until(RUNNING)
        assert lib.stat().st_mode & 0o7777 == kept


@pytest.mark.root
def test_lib_dir_of_another_user_becomes_ours_with_a_warning(tmp_path: Path) -> None:
    lib = tmp_path / "var/lib/waagent"
    lib.mkdir(parents=True)
    os.chown(lib, 65534, 65534)
    with DaemonProcess(tmp_path) as daemon:
        daemon.until("belonged to user 65534")
        daemon.until(RUNNING)
        assert lib.stat().st_uid == 0


def test_lib_dir_that_is_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "var/lib").mkdir(parents=True)
    (tmp_path / "big/agent").mkdir(parents=True)
    (tmp_path / "var/lib/waagent").symlink_to("/big/agent")
    with DaemonProcess(tmp_path) as daemon:
        assert daemon.until("Working in").endswith("/big/agent")
        daemon.until(RUNNING)
    assert (tmp_path / "var/lib/waagent").is_symlink()


def test_pid_file_that_is_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "var/run").mkdir(parents=True)
    (tmp_path / "else").mkdir()
    (tmp_path / "var/run/waagent.pid").symlink_to("/else/where.pid")
    with DaemonProcess(tmp_path) as daemon:
        daemon.until(RUNNING)
        assert (tmp_path / "else/where.pid").read_text() == str(daemon.pid)
    assert (tmp_path / "var/run/waagent.pid").is_symlink()


@pytest.mark.parametrize("kernel", ["1\n", "0\n", None])
def test_fips_mode_of_the_kernel_is_told(tmp_path: Path, kernel: Optional[str]) -> None:
    if kernel is not None:
        (tmp_path / "proc/sys/crypto").mkdir(parents=True)
        (tmp_path / "proc/sys/crypto/fips_enabled").write_text(kernel)
    with DaemonProcess(tmp_path) as daemon:
        line = daemon.until("FIPS mode is")
        assert line.endswith("on (the kernel)" if kernel == "1\n" else "off")


def test_hang_up_ends_the_daemon_and_its_child(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.until(RUNNING)
        assert daemon.end(signal.SIGHUP)[0] == 0
        assert any("Forwarding signal 15 to process" in line for line in daemon.log)


def test_disabled_agent_runs_again_when_the_file_is_gone(tmp_path: Path) -> None:
    lib = tmp_path / "var/lib/waagent"
    lib.mkdir(parents=True)
    (lib / "disable_agent").touch()
    with DaemonProcess(tmp_path) as daemon:
        daemon.until("osProfile.allowExtensionOperations property is set to true.")
        assert daemon.end()[0] == 0
    (lib / "disable_agent").unlink()
    with DaemonProcess(tmp_path) as daemon:
        daemon.until(RUNNING)


@pytest.mark.parametrize(
    "order", ["2>&1 | head -n 1", ">&- 2>&- <&-"], ids=["reader is gone", "closed"]
)
def test_command_goes_on_without_standard_streams(tmp_path: Path, order: str) -> None:
    code = (
        "import logging, os, pathlib\n"
        "from waagent.core import forked, log, streams\n"
        "streams.ensure_open()\n"
        "log.set_up(prefix='x', verbose=False)\n"
        "for number in range(2000): logging.getLogger('waagent').info('line %d', number)\n"
        "child = forked.fork(lambda: 7)\n"
        "while child.poll() is None: pass\n"
        "assert os.open('/dev/null', os.O_RDONLY) > 2\n"
        f"pathlib.Path({str(tmp_path / 'ended')!r}).write_text(str(child.poll()))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = f'"$0" "$1" {order}; wait'
    argv = ["sh", "-c", command, sys.executable, str(script)]
    subprocess.run(argv, env=environment, check=False, stdout=subprocess.DEVNULL, timeout=30)
    assert (tmp_path / "ended").read_text() == "7"


def test_second_daemon_looks_only_when_the_first_has_written(tmp_path: Path) -> None:
    """It waits for the lock, which others may also hold: not for ever."""
    run = tmp_path / "var/run"
    run.mkdir(parents=True)
    descriptor = os.open(run, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with DaemonProcess(tmp_path) as daemon:
            daemon.until("is locked by another process; not waiting any longer")
            daemon.until(RUNNING)
            assert set(daemon.waits) == {0.05}
    finally:
        os.close(descriptor)
