"""The daemon's loop, in a real process: crashes, pauses, signals (spec DAEMON 1.3 to 1.7)."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.integration.daemon.process import DaemonProcess, dies
from tests.support.spool import spooled
from waagent.core.version import AGENT_VERSION

RUNNING = "is successfully running"
ENDED_WITHIN_S = 2.0


@pytest.mark.parametrize(
    ("outcome", "why"),
    [("fail", "ended with 1"), ("crash", "ended with 1"), ("killed", "ended with -9")],
)
def test_boot_that_fails_is_repeated_after_15_seconds(
    tmp_path: Path, outcome: str, why: str
) -> None:
    with DaemonProcess(tmp_path, boots=[outcome, outcome, "done"]) as daemon:
        daemon.until("Daemon ended with exception -- Sleep 15 seconds and restart daemon", times=2)
        daemon.until(RUNNING)
        assert daemon.waits == [15.0, 15.0]
        assert any(why in line for line in daemon.log)
        assert [event["Operation"] for event in spooled(daemon.lib / "events")] == [
            "UnhandledError",
            "UnhandledError",
        ]


def test_defect_of_the_daemon_itself_is_survived_the_same_way(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, console=["raises"]) as daemon:
        daemon.until("Daemon ended with exception -- Sleep 15 seconds and restart daemon")
        daemon.until("KeyError: 'a defect of the daemon itself'")
        daemon.until(RUNNING)
        assert daemon.waits == [15.0]


@pytest.mark.parametrize("code", [0, 1, 137])
def test_child_that_dies_at_once_is_started_after_ever_longer_pauses(
    tmp_path: Path, code: int
) -> None:
    with DaemonProcess(tmp_path, child=dies(code, times=9)) as daemon:
        daemon.until(RUNNING, times=10)
        assert daemon.waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
        told = [line for line in daemon.log if f"exited with return code: {code}" in line]
        assert len(told) == (9 if code else 0)


def test_child_that_cannot_be_started_is_tried_again_after_a_pause(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, boots=["takes its lib dir away"]) as daemon:
        daemon.until("failed with exception: ")
        daemon.until("next start in 1 s")
        daemon.until(RUNNING)
        assert daemon.waits == [1.0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_daemon_told_to_stop_ends_its_child_and_leaves_with_zero(
    tmp_path: Path, number: signal.Signals
) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.until(RUNNING)
        code, took_s = daemon.end(number)
        assert (code, took_s < ENDED_WITHIN_S) == (0, True)
        assert any("Forwarding signal 15 to process" in line for line in daemon.log)


def test_daemon_told_to_stop_while_booting_leaves_with_zero(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, boots=["hang"]) as daemon:
        daemon.until("hanging")
        code, took_s = daemon.end()
        assert (code, took_s < ENDED_WITHIN_S) == (0, True)
        assert any("Stopped while preparing this machine" in line for line in daemon.log)


def test_boot_that_does_not_stop_is_killed_after_three_seconds(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, boots=["stubborn"], in_hurry=False, factor=10.0) as daemon:
        daemon.until("hanging")
        code, took_s = daemon.end()
        assert code == 0
        assert 3.0 / 10.0 <= took_s < ENDED_WITHIN_S
        assert any("did not end within 3 s and is killed" in line for line in daemon.log)


def test_daemon_told_to_stop_between_children_leaves_with_zero(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, child=dies(1), in_hurry=False) as daemon:
        daemon.until("next start in 2 s")
        code, took_s = daemon.end()
        assert (code, took_s < 1.5) == (0, True)


def test_daemon_told_to_stop_after_a_crash_leaves_with_zero(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, boots=["fail"], in_hurry=False) as daemon:
        daemon.until("The reason was: cannot prepare this machine")
        code, took_s = daemon.end()
        assert (code, took_s < ENDED_WITHIN_S) == (0, True)


def test_disabled_daemon_sleeps_without_a_child_and_leaves_with_zero(tmp_path: Path) -> None:
    lib = tmp_path / "var/lib/waagent"
    lib.mkdir(parents=True)
    (lib / "disable_agent").touch()
    with DaemonProcess(tmp_path) as daemon:
        daemon.until("Disabling the guest agent by sleeping forever; to re-enable, remove")
        daemon.until("osProfile.allowExtensionOperations property is set to true.")
        code, took_s = daemon.end()
        assert (code, took_s < ENDED_WITHIN_S) == (0, True)
        assert not any(RUNNING in line for line in daemon.log)


def test_daemon_leaves_a_machine_that_another_sets_up_after_five_minutes(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, boots=["taken over"]) as daemon:
        daemon.until("Exiting")
        assert daemon.await_end() == 0
        assert daemon.waits == [300.0]
        assert not any(RUNNING in line for line in daemon.log)


def test_lib_dir_is_made_for_root_alone_but_one_that_exists_stays(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.until(RUNNING)
        assert daemon.lib.stat().st_mode & 0o7777 == 0o700
        daemon.end()
        daemon.lib.chmod(0o755)
    with DaemonProcess(tmp_path) as daemon:
        daemon.until(RUNNING)
        assert daemon.lib.stat().st_mode & 0o7777 == 0o755


def test_banner_is_the_first_thing_said(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.until("Run daemon")
        said = [line.partition("INFO Daemon Daemon ")[2] for line in daemon.log]
        assert said[0] == f"Azure Linux Agent Version: {AGENT_VERSION}"
        assert said[1] == "OS: test 1"
        assert said[2].startswith("Python: 3.")


def test_second_daemon_leaves_with_zero_and_starts_nothing(tmp_path: Path) -> None:
    holder = tmp_path / "proc/4194304"
    holder.mkdir(parents=True)
    (holder / "cmdline").write_bytes(b"python3\0-u\0/usr/sbin/waagent\0-daemon\0")
    (tmp_path / "var/run").mkdir(parents=True)
    (tmp_path / "var/run/waagent.pid").write_text("4194304")
    with DaemonProcess(tmp_path) as daemon:
        daemon.until("Daemon is already running: 4194304")
        assert daemon.await_end() == 0
        assert not daemon.lib.exists()


def test_child_inherits_our_version_but_not_our_channel_to_systemd(tmp_path: Path) -> None:
    told = tmp_path / "told"
    child = f"import json, os\nopen({str(told)!r}, 'w').write(json.dumps(dict(os.environ)))\n"
    channel = {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1", "NOTIFY_SOCKET": "/nowhere"}
    with DaemonProcess(
        tmp_path, child=f"{child}raise SystemExit(3)\n", environment=channel
    ) as daemon:
        daemon.until("exited with return code: 3")
    environment = json.loads(told.read_text())
    assert environment["_AZURE_GUEST_AGENT_DAEMON_VERSION_"] == AGENT_VERSION
    assert not set(channel) & set(environment)
