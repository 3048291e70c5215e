"""Real programs, real root: only on a machine that is thrown away afterwards.

Started by ``test_guest_real``; anywhere else everything here fails before it does anything.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from tests.integration.guest_floor.programs import output
from waagent.core.system import System
from waagent.guest import accounts, hostname, interfaces, processes, stats, users
from waagent.guest.profiles import profile_of
from waagent.guest.release import read_release

SUDOERS = "/etc/sudoers.d"


def test_host_name_is_set_in_file_and_kernel(system: System) -> None:
    release = read_release(system)
    hostname.set_hostname(system, profile_of(release), "vm-inside")
    assert output("uname", "-n") == "vm-inside"
    assert hostname.read_hostname(system) == "vm-inside"
    assert Path("/etc/hostname").read_text(encoding="ascii") == "vm-inside\n"


def test_host_name_is_published_without_a_network(system: System, tmp_path: Path) -> None:
    record = tmp_path / "published_hostname"
    assert hostname.publish_hostname(system, "vm-inside", record=record) is None
    assert hostname.read_published_hostname(system, record=record) == "vm-inside"


def test_interfaces_are_those_of_the_namespace(system: System) -> None:
    output("ip", "link", "add", "eth7", "type", "veth", "peer", "name", "eth8")
    output("ip", "addr", "add", "10.7.0.4/24", "dev", "eth7")
    output("ip", "link", "set", "eth7", "up")
    output("ip", "link", "set", "eth8", "up")
    output("ip", "route", "add", "default", "via", "10.7.0.1", "dev", "eth7")
    primary = interfaces.find_primary_interface(system)
    assert primary is not None
    assert (primary.name, primary.addresses) == ("eth7", ("10.7.0.4",))
    assert primary.mac.lower() == Path("/sys/class/net/eth7/address").read_text().strip()


def test_processes_are_found_by_name(system: System) -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        deadline = time.monotonic() + 10
        while not processes.find_processes(system, "sleep") and time.monotonic() < deadline:
            os.sched_yield()
        assert child.pid in [each.pid for each in processes.find_processes(system, "sleep")]
        child.kill()


def test_figures_are_those_of_the_kernel(system: System) -> None:
    assert stats.processors(system) == os.sysconf("SC_NPROCESSORS_ONLN")
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert stats.ram_mb(system) == pages // 1024 // 1024
    assert stats.uptime_s(system) > 0


def test_user_is_deleted_with_everything(system: System, user: str) -> None:
    assert users.delete_user(system, user)
    assert accounts.find_account(system, user) is None
    assert not Path(f"/home/{user}").exists()
