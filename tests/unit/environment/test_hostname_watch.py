"""A new host name is kept and published; one that cannot be published is not forgotten."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.support.machine import Guest, Machine
from tests.support.naming import with_stubborn_kernel
from tests.support.spool import spooled
from tests.unit.environment.machine import (
    LIB,
    context_of,
    process_files,
    run_for,
    thread_of,
)
from waagent.environment.hostname_watch import CALM_S, HostnameWatch

KERNEL = "/proc/sys/kernel/hostname"
RECORD = f"{LIB}/published_hostname"
CONF = "Provisioning.MonitorHostName=y\nProvisioning.MonitorHostNamePeriod=30\n"
CHANGED = "EnvMonitor: Detected hostname change: old-name -> vm-7"


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    """A machine whose name was published."""
    names = {KERNEL: "old-name\n", "/etc/hostname": "old-name\n", RECORD: "old-name"}
    return Machine(files={**names, **process_files(9, "dhclient")}).boot(tmp_path)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The log of the watch."""
    caplog.set_level(logging.INFO, logger="waagent.environment.hostname_watch")
    return caplog


def rename(guest: Guest, name: str, after_s: float) -> None:
    """Somebody gives the kernel another name."""
    guest.clock.at(after_s, lambda: guest.write(KERNEL, f"{name}\n"))


def test_new_name_is_kept_and_published(guest: Guest, said: pytest.LogCaptureFixture) -> None:
    rename(guest, "vm-7", 40)
    run_for(guest, thread_of(guest, CONF), 120)
    assert guest.file("/etc/hostname") == "vm-7\n"
    assert guest.file(RECORD) == "vm-7"
    assert said.messages == [CHANGED]


def test_name_that_was_never_published_is_at_the_start(
    guest: Guest, said: pytest.LogCaptureFixture
) -> None:
    guest.write(KERNEL, "vm-7\n")
    run_for(guest, thread_of(guest, CONF), 1)
    assert guest.file(RECORD) == "vm-7"
    assert said.messages == [CHANGED]


def test_kernel_that_was_left_with_its_own_name_changes_nothing(
    guest: Guest, said: pytest.LogCaptureFixture
) -> None:
    """As in a container, where nobody may name the kernel; a later name of it is a change."""
    guest.write("/etc/hostname", "vm-7\n")
    guest.write(RECORD, "vm-7")
    guest = with_stubborn_kernel(guest)
    worker = thread_of(guest, CONF)
    run_for(guest, worker, 120)
    assert (guest.file("/etc/hostname"), guest.file(RECORD)) == ("vm-7\n", "vm-7")
    assert said.messages == ["The kernel does not take the host name vm-7, it keeps old-name"]
    guest.write(KERNEL, "vm-8\n")
    run_for(guest, worker, 120)
    assert (guest.file("/etc/hostname"), guest.file(RECORD)) == ("vm-8\n", "vm-8")
    guest.write(KERNEL, "old-name\n")
    run_for(guest, worker, 120)
    assert (guest.file("/etc/hostname"), guest.file(RECORD)) == ("old-name\n", "old-name")


def test_name_that_the_kernel_got_while_no_agent_ran_is_published(guest: Guest) -> None:
    """Be it only the kernel that has it (``hostname``), or the file too (``hostnamectl``)."""
    guest.write(KERNEL, "vm-7\n")
    run_for(guest, thread_of(guest, CONF), 1)
    assert (guest.file("/etc/hostname"), guest.file(RECORD)) == ("vm-7\n", "vm-7")
    guest.write(KERNEL, "vm-8\n")
    guest.write("/etc/hostname", "vm-8\n")
    contained = with_stubborn_kernel(guest)
    run_for(contained, thread_of(contained, CONF), 1)
    assert (guest.file("/etc/hostname"), guest.file(RECORD)) == ("vm-8\n", "vm-8")


def test_name_is_not_watched_where_nobody_asked_for_it(guest: Guest) -> None:
    rename(guest, "vm-7", 40)
    run_for(guest, thread_of(guest), 3600)
    assert guest.file(RECORD) == "old-name"


def test_name_that_is_hidden_is_no_change(guest: Guest) -> None:
    rename(guest, "", 40)
    run_for(guest, thread_of(guest, CONF), 120)
    assert guest.file(RECORD) == "old-name"


def test_name_that_cannot_be_recorded_is_tried_again_after_longer_and_longer_pauses(
    guest: Guest, said: pytest.LogCaptureFixture
) -> None:
    """And reported once an hour: the reference forgets it."""
    worker = thread_of(guest, CONF)
    run_for(guest, worker, 1)
    guest.path(RECORD).unlink()
    guest.path(RECORD).mkdir()
    (guest.path(RECORD) / "in the way").touch()
    guest.write(KERNEL, "vm-7\n")
    run_for(guest, worker, 3 * 3600)
    texts = [e["Message"] for e in spooled(guest.path(f"{LIB}/events"))]
    assert 1 <= len(texts) <= 4
    assert all(text.startswith("Error while publishing the hostname: ") for text in texts)
    assert said.messages.count(CHANGED) == 1
    assert guest.file("/etc/hostname") == "vm-7\n"
    (guest.path(RECORD) / "in the way").unlink()
    guest.path(RECORD).rmdir()
    run_for(guest, worker, 3700)
    assert guest.file(RECORD) == "vm-7"


def test_name_that_no_machine_can_have_is_reported_and_changes_nothing(guest: Guest) -> None:
    rename(guest, "not a name", 40)
    run_for(guest, thread_of(guest, CONF), 3000)
    (event,) = spooled(guest.path(f"{LIB}/events"))
    assert event["Operation"] == "HostnamePublishing"
    assert event["OperationSuccess"] is False
    assert guest.file("/etc/hostname") == "old-name\n"
    rename(guest, "vm-7", 1)
    run_for(guest, thread_of(guest, CONF), 120)
    assert guest.file(RECORD) == "vm-7"


def test_names_that_come_and_go_are_not_all_published(
    guest: Guest, said: pytest.LogCaptureFixture
) -> None:
    """Two programs that each want their own: whoever manages the network is asked now and then."""
    watch = HostnameWatch(context_of(guest, CONF), guest.profile, period_s=30)
    for second in range(600):
        guest.write(KERNEL, f"vm-{second % 2}\n")
        watch.look()
        guest.clock.advance(1)
    assert 2 <= len(said.messages) <= 600 / CALM_S
