"""The DHCP client: gone is said once, started anew each time, and nothing is walked through."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from tests.support.machine import Guest, Machine
from tests.unit.environment.machine import process_files, run_for, thread_of

GONE = "Dhcp client is not running."
RESTARTED = "EnvMonitor: Detected dhcp client restart. Restoring routing table."


def end(guest: Guest, pid: int) -> None:
    """The process is gone."""
    shutil.rmtree(guest.path(f"/proc/{pid}"))


def begin(guest: Guest, pid: int, name: str = "dhclient", at: int = 100) -> None:
    """A process of that name runs."""
    for path, text in process_files(pid, name, at).items():
        guest.write(path, text)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The log of the watch."""
    caplog.set_level(logging.INFO, logger="waagent.environment.dhcp_watch")
    return caplog


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    """A machine whose client runs as process 9."""
    return Machine(files=process_files(9, "dhclient")).boot(tmp_path)


def test_client_that_runs_on_is_nothing_to_talk_about(
    guest: Guest, said: pytest.LogCaptureFixture
) -> None:
    run_for(guest, thread_of(guest), 3600)
    assert said.messages == []


def test_client_that_was_started_anew_is_noticed_once(
    guest: Guest, said: pytest.LogCaptureFixture
) -> None:
    worker = thread_of(guest)
    guest.clock.at(100, lambda: end(guest, 9))
    guest.clock.at(100, lambda: begin(guest, 12))
    run_for(guest, worker, 600)
    assert said.messages == [RESTARTED]


def test_client_that_has_the_number_of_the_old_one_is_another(
    guest: Guest, said: pytest.LogCaptureFixture
) -> None:
    worker = thread_of(guest)
    guest.clock.at(100, lambda: begin(guest, 9, at=500))
    run_for(guest, worker, 600)
    assert said.messages == [RESTARTED]


def test_client_that_is_gone_is_said_once_in_each_outage(
    guest: Guest, said: pytest.LogCaptureFixture
) -> None:
    worker = thread_of(guest)
    run_for(guest, worker, 60)
    for _ in range(2):
        end(guest, 9)
        run_for(guest, worker, 3600)
        begin(guest, 9, at=1000 + len(said.messages))
        run_for(guest, worker, 3600)
    assert said.messages == [GONE, RESTARTED] * 2


def test_client_that_begins_later_than_the_agent_is_no_restart(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    guest = Machine(folders=["/proc"]).boot(tmp_path)
    worker = thread_of(guest)
    run_for(guest, worker, 60)
    begin(guest, 9)
    run_for(guest, worker, 3600)
    assert said.messages == [GONE]


def test_pauses_between_walks_through_all_processes_grow_while_there_is_no_client(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    """Found by a walk: a client that comes is noticed within the longest pause."""
    guest = Machine(folders=["/proc"]).boot(tmp_path)
    worker = thread_of(guest)
    run_for(guest, worker, 4 * 3600)
    begin(guest, 9)
    run_for(guest, worker, 631)
    end(guest, 9)
    run_for(guest, worker, 31)
    assert said.messages == [GONE, GONE], "the one that came was known before it went"
