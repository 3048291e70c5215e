"""What systemd hears, on a real socket (sd_notify(3), sd_watchdog_enabled(3))."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.daemon.process import DaemonProcess, Systemd, dies


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Systemd]:
    """A service manager that listens."""
    made = Systemd(tmp_path / "notify")
    yield made
    made.close()


def test_daemon_is_ready_when_it_stands_and_before_it_provisions(
    tmp_path: Path, manager: Systemd
) -> None:
    environment = manager.environment
    with DaemonProcess(tmp_path, boots=["hang"], environment=environment) as daemon:
        assert manager.hear() == "READY=1"
        assert (tmp_path / "var/run/waagent.pid").read_text() == str(daemon.pid)
        assert daemon.lib.is_dir()
        assert manager.hear() == "STATUS=Preparing this machine"
        daemon.until("hanging")


def test_status_says_what_the_daemon_does(tmp_path: Path, manager: Systemd) -> None:
    with DaemonProcess(tmp_path, environment=manager.environment) as daemon:
        status = manager.hear_until("STATUS=Handling extensions with WALinuxAgent-")[-1]
        child = int(status.rpartition("process ")[2])
        assert Path(f"/proc/{child}/stat").exists()
        daemon.end()
        heard = manager.hear_until("STOPPING=1")
        assert heard[-1] == "STOPPING=1\nSTATUS=Stopping"


def test_status_says_what_the_boot_helper_does(tmp_path: Path, manager: Systemd) -> None:
    boots = ["hang and tell"]
    with DaemonProcess(tmp_path, boots=boots, environment=manager.environment) as daemon:
        heard = manager.hear_until("STATUS=Preparing this machine: No answer from")
        assert heard[-1].endswith(" https://store/x?<redacted>")
        assert all(line.count("\n") == 0 for line in heard)
        assert "of no interest" not in " ".join(heard)
        daemon.end()
        assert manager.hear_until("STOPPING=1")[-1] == "STOPPING=1\nSTATUS=Stopping"


def test_boot_helper_never_waits_for_the_daemon_to_hear_what_it_says(
    tmp_path: Path, manager: Systemd
) -> None:
    boots = ["talk while nobody listens"]
    with DaemonProcess(tmp_path, boots=boots, environment=manager.environment) as daemon:
        daemon.until("Number 999 ")
        heard = manager.hear_until("STATUS=Preparing this machine: Number")
        assert len(heard[-1]) < 400
        daemon.end()


@pytest.mark.parametrize(
    ("boots", "child", "status"),
    [
        (["fail"], dies(0), "STATUS=Trying again in 15 s: cannot prepare this machine"),
        (["done"], dies(1), "STATUS=The agent ended after "),
        (["taken over"], dies(0), "STATUS=System Center VMM sets this machine up"),
    ],
)
def test_status_says_why_the_daemon_waits(
    tmp_path: Path, manager: Systemd, boots: list[str], child: str, status: str
) -> None:
    with DaemonProcess(
        tmp_path, boots=boots, child=child, environment=manager.environment, in_hurry=False
    ) as daemon:
        assert manager.hear_until(status)
        daemon.end()


def test_status_says_that_the_agent_is_disabled(tmp_path: Path, manager: Systemd) -> None:
    lib = tmp_path / "var/lib/waagent"
    lib.mkdir(parents=True)
    (lib / "disable_agent").touch()
    with DaemonProcess(tmp_path, environment=manager.environment) as daemon:
        assert manager.hear_until("STATUS=Disabled by ")[-1].endswith("/disable_agent")
        assert manager.hear() == "WATCHDOG=1"
        daemon.end()
        assert manager.hear() == "STOPPING=1"


def test_ready_is_said_once_however_often_the_boot_fails(tmp_path: Path, manager: Systemd) -> None:
    boots = ["fail", "crash", "done"]
    with DaemonProcess(tmp_path, boots=boots, environment=manager.environment) as daemon:
        heard = manager.hear_until("STATUS=Handling extensions")
        assert heard.count("READY=1") == 1
        assert heard.count("STATUS=Preparing this machine") == 3
        daemon.end()


@pytest.mark.parametrize("boots", [["hang"], ["done"]], ids=["booting", "watching its child"])
def test_watchdog_is_fed_three_times_in_its_period(
    tmp_path: Path, manager: Systemd, boots: list[str]
) -> None:
    environment = {**manager.environment, "WATCHDOG_USEC": "150000"}
    with DaemonProcess(tmp_path, boots=boots, environment=environment, in_hurry=False) as daemon:
        manager.hear_until("STATUS=Handling" if boots == ["done"] else "STATUS=Preparing")
        assert [manager.hear() for _ in range(4)] == ["WATCHDOG=1"] * 4
        daemon.end()


@pytest.mark.parametrize(
    ("boots", "pause"), [("done", "STATUS=The agent ended"), ("fail", "STATUS=Trying again")]
)
def test_watchdog_is_fed_in_every_pause(
    tmp_path: Path, manager: Systemd, boots: str, pause: str
) -> None:
    environment = {**manager.environment, "WATCHDOG_USEC": "300000"}
    with DaemonProcess(
        tmp_path, boots=[boots], child=dies(1), environment=environment, in_hurry=False
    ) as daemon:
        manager.hear_until(pause)
        assert [manager.hear() for _ in range(8)] == ["WATCHDOG=1"] * 8
        daemon.end()


@pytest.mark.parametrize("period", ["", "0", "-5", "soon", "٣٠٠"])
def test_watchdog_period_that_is_none_is_ignored(
    tmp_path: Path, manager: Systemd, period: str
) -> None:
    environment = {**manager.environment, "WATCHDOG_USEC": period}
    with DaemonProcess(tmp_path, environment=environment) as daemon:
        manager.hear_until("STATUS=Handling")
        daemon.end()
        assert manager.hear_until("STOPPING=1").count("WATCHDOG=1") <= 1


def test_daemon_runs_as_well_where_nobody_listens(tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "nobody")}
    with DaemonProcess(tmp_path, environment=environment) as daemon:
        daemon.until("is successfully running")
        assert daemon.end()[0] == 0
