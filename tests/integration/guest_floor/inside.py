"""Real programs, real root: only on a machine that is thrown away afterwards.

Started by ``test_guest_real``; anywhere else everything here fails before it does anything.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.guest_floor.programs import PASSWORD, mode, output, shadow
from waagent.core.errors import GuestError
from waagent.core.system import System
from waagent.guest import accounts, hostname, interfaces, processes, stats, sudoers, users
from waagent.guest.profiles import profile_of
from waagent.guest.release import read_release

SUDOERS = "/etc/sudoers.d"


def test_user_has_a_home_and_is_no_system_account(system: System, user: str) -> None:
    account = accounts.read_account(system, user)
    assert Path(account.home).is_dir()
    assert Path(account.home).stat().st_uid == account.uid
    assert not accounts.is_system_account(system, user)
    assert accounts.is_system_account(system, "daemon")
    assert not users.ensure_user(system, user)


def test_user_of_remote_access_ends_on_its_day(system: System) -> None:
    users.ensure_user(system, "jitinside", expires="2031-02-03", comment=users.JIT_COMMENT)
    assert "Feb 03, 2031" in output("chage", "-l", "jitinside")
    assert users.delete_user(system, "jitinside")
    assert accounts.find_account(system, "jitinside") is None
    assert not Path("/home/jitinside").exists()


@pytest.mark.parametrize("crypt_id", ["6", "5"])
def test_password_is_the_one_that_another_program_computes(
    system: System, user: str, crypt_id: str
) -> None:
    users.set_password(
        system, user, PASSWORD, crypt_id=crypt_id, salt_length=10, allow_system_user=False
    )
    stored = shadow(user)[1]
    assert re.fullmatch(rf"\${crypt_id}\$[A-Za-z0-9]{{10}}\$\S+", stored)
    assert output("perl", "-e", "print crypt(<STDIN>, $ARGV[0])", stored, stdin=PASSWORD) == stored


def test_password_by_a_foreign_method_is_left_to_the_guest(system: System, user: str) -> None:
    users.set_password(
        system, user, PASSWORD, crypt_id="y", salt_length=10, allow_system_user=False
    )
    stored = shadow(user)[1]
    assert output("perl", "-e", "print crypt(<STDIN>, $ARGV[0])", stored, stdin=PASSWORD) == stored


def test_root_password_is_locked_and_the_file_as_safe_as_before(system: System) -> None:
    before = Path("/etc/shadow").stat()
    users.lock_root_password(system, shadow_path="/etc/shadow")
    after = Path("/etc/shadow").stat()
    assert shadow("root")[1] == "*LOCK*"
    assert (before.st_mode, before.st_uid, before.st_gid) == (
        after.st_mode,
        after.st_uid,
        after.st_gid,
    )
    assert output("passwd", "-S", "root").split()[1] == "L"


def test_sudo_takes_what_the_agent_writes(system: System, user: str) -> None:
    sudoers.ensure_sudoer(system, user, sudoers_dir=SUDOERS, needs_password=False)
    assert "(ALL) NOPASSWD: ALL" in output("sudo", "-l", "-U", user)
    for name in ("ADMIN", "Azu-1", "jürgen"):
        assert sudoers.ensure_sudoer(system, name, sudoers_dir=SUDOERS, needs_password=True)
    output("visudo", "-c")
    assert mode(f"{SUDOERS}/waagent") == 0o440
    for name in (user, "ADMIN", "Azu-1", "jürgen"):
        assert sudoers.remove_sudoer(system, name, sudoers_dir=SUDOERS)
    assert not Path(f"{SUDOERS}/waagent").exists()


def test_sudoers_file_that_is_broken_already_is_not_made_ours(system: System, user: str) -> None:
    path = Path(f"{SUDOERS}/waagent")
    path.write_text("this is no rule\n", encoding="ascii")
    with pytest.raises(GuestError, match="visudo refuses"):
        sudoers.ensure_sudoer(system, user, sudoers_dir=SUDOERS, needs_password=False)
    assert path.read_text(encoding="ascii") == "this is no rule\n"
    path.unlink()


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
