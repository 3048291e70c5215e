"""The environment thread put together: its name, its words, and that it costs nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.machine import Guest, Machine
from tests.unit.environment.machine import LIB, context_of, process_files, run_for, thread_of
from waagent.core.clock import SystemClock
from waagent.core.records import replace
from waagent.environment.net_rules import RULES
from waagent.environment.thread import make_environment

NAMES = {"/proc/sys/kernel/hostname": "vm-7\n", f"{LIB}/published_hostname": "vm-7"}
TIMEOUT = "/sys/block/sda/device/timeout"
CONF = "Provisioning.MonitorHostName=y\nOS.RootDeviceScsiTimeout=300\n"


def changes_of(root: Path) -> dict[str, tuple[int, int]]:
    """All files and folders with what changes when anything in them is written."""
    states = {str(path): path.lstat() for path in (root, *root.rglob("*"))}
    return {name: (state.st_ino, state.st_ctime_ns) for name, state in states.items()}


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    """A machine on which all is as it should be; no command may be run."""
    files = {**NAMES, **process_files(9, "dhclient"), TIMEOUT: "300\n"}
    return Machine("rhel-9.4", files=files).boot(tmp_path)


def test_idle_hour_runs_no_command_and_writes_nothing(guest: Guest) -> None:
    worker = thread_of(guest, CONF)
    before = changes_of(guest.system.root)
    run_for(guest, worker, 3600)
    assert changes_of(guest.system.root) == before
    assert guest.ran == []
    assert len(guest.clock.waits) > 4 * 3600 / 31, "all four looked in each period"


def in_the_way(guest: Guest, path: str) -> None:
    """A folder that is not empty where a file should be."""
    guest.path(path).unlink(missing_ok=True)
    guest.write(f"{path}/x", "")


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda guest: in_the_way(guest, TIMEOUT), "SetRootDeviceScsiTimeout"),
        (lambda guest: in_the_way(guest, f"{LIB}/{Path(RULES[1]).name}"), "RemovePersistent"),
    ],
)
def test_work_that_fails_is_named_as_ever_and_said_once_an_hour(
    guest: Guest, caplog: pytest.LogCaptureFixture, spoil: Callable[[Guest], None], word: str
) -> None:
    """And the thread goes on."""
    guest.write(RULES[1], "x\n")
    spoil(guest)
    worker = thread_of(guest, CONF)
    with caplog.at_level(logging.WARNING, logger="waagent.core.workers"):
        run_for(guest, worker, 2 * 3600 - 60)
    (first, second) = [text for text in caplog.messages if text.startswith("Error in ")]
    assert first == second
    assert first.startswith(f"Error in {word}")
    assert first.endswith(" --- [NOTE: Will not log the same error for the next hour]")


def test_thread_greets_and_ends_at_once(guest: Guest, caplog: pytest.LogCaptureFixture) -> None:
    system = replace(guest.system, clock=SystemClock())
    context = replace(context_of(guest, CONF), system=system)
    worker = make_environment(context, guest.profile)
    with caplog.at_level(logging.INFO, logger="waagent.core.workers"):
        worker.start()
        worker.tell_to_stop()
        assert worker.join(10.0)
    assert caplog.messages == ["Starting env monitor service."]
    assert caplog.records[0].threadName == "EnvHandler"


def test_periods_are_those_of_the_configuration(guest: Guest) -> None:
    conf = CONF + "OS.RootDeviceScsiTimeoutPeriod=600\n"
    worker = thread_of(guest, conf)
    run_for(guest, worker, 1)
    guest.write(TIMEOUT, "30\n")
    run_for(guest, worker, 500)
    assert guest.file(TIMEOUT) == "30\n"
    run_for(guest, worker, 130)
    assert guest.file(TIMEOUT) == "300"
