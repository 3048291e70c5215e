"""Real programs, real root: only on a machine that is thrown away afterwards.

Started by ``test_guest_real``; anywhere else everything here fails before it does anything.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from waagent.core.errors import GuestError
from waagent.core.system import System, real_system
from waagent.guest import accounts, hostname, interfaces, processes, ssh, stats, sudoers, users
from waagent.guest.profiles import profile_of
from waagent.guest.release import read_release

USER = "azuinside"
PASSWORD = "Pä55 w:rd$"
SUDOERS = "/etc/sudoers.d"
PORT = "2222"


@pytest.fixture(scope="module")
def system() -> System:
    """The machine, once it is sure that it may be changed."""
    assert Path("/waagent-throwaway").exists(), "this must only run inside test_guest_real"
    return real_system()


@pytest.fixture(scope="module")
def user(system: System) -> str:
    """An account that was made by the agent."""
    assert users.ensure_user(system, USER)
    return USER


def output(*argv: str, stdin: str = "") -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def shadow(name: str) -> list[str]:
    lines = Path("/etc/shadow").read_text(encoding="utf-8").splitlines()
    return next(line.split(":") for line in lines if line.startswith(f"{name}:"))


def mode(path: str) -> int:
    return Path(path).stat().st_mode & 0o7777


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


@pytest.mark.parametrize("key_type", ["auto", "rsa", "ed25519"])
def test_host_keys_are_new_and_their_fingerprint_is_ssh_keygens(
    system: System, key_type: str
) -> None:
    reported = "rsa" if key_type == "auto" else key_type
    public = Path(f"/etc/ssh/ssh_host_{reported}_key.pub")
    before = public.read_bytes() if public.exists() else b""
    found = ssh.ensure_host_keys(system, ssh_dir="/etc/ssh", key_type=key_type, regenerate=True)
    assert found == output("ssh-keygen", "-lf", str(public)).split()[1].replace(":", "")
    assert public.read_bytes() != before
    assert mode(str(public.with_suffix(""))) == 0o600
    names = sorted(path.name for path in Path("/etc/ssh").glob("ssh_host_*_key"))
    assert len(names) == (3 if key_type == "auto" else 1)


def test_old_host_keys_survive_a_type_that_ssh_keygen_does_not_know(system: System) -> None:
    before = Path("/etc/ssh/ssh_host_ed25519_key").read_bytes()
    with pytest.raises(GuestError, match="cannot generate"):
        ssh.ensure_host_keys(system, ssh_dir="/etc/ssh", key_type="dsa1024x", regenerate=True)
    assert Path("/etc/ssh/ssh_host_ed25519_key").read_bytes() == before
    assert mode("/etc/ssh/ssh_host_ed25519_key") == 0o600


def configure(system: System, *, interval: int = 180, allow_password: bool = False) -> bool:
    return ssh.configure_sshd(
        system, ssh_dir="/etc/ssh", allow_password=allow_password, client_alive_interval=interval
    )


def test_sshd_obeys_its_new_settings(system: System) -> None:
    Path("/run/sshd").mkdir(exist_ok=True)
    assert configure(system)
    settings = output("sshd", "-T")
    assert "passwordauthentication no" in settings
    assert "kbdinteractiveauthentication no" in settings
    assert "clientaliveinterval 180" in settings
    assert not configure(system)


def test_sshd_settings_that_sshd_refuses_are_not_written(system: System) -> None:
    path = Path("/etc/ssh/sshd_config")
    before = path.read_bytes()
    with pytest.raises(GuestError, match="it refuses"):
        configure(system, interval=-5)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.glob("sshd_config*") if each.is_file()] == [
        "sshd_config"
    ]


def test_sshd_settings_are_written_before_there_are_host_keys(system: System) -> None:
    aside = Path("/run/keys")
    aside.mkdir()
    keys = list(Path("/etc/ssh").glob("ssh_host_*"))
    for key in keys:
        shutil.move(str(key), aside / key.name)
    assert configure(system, interval=120)
    for key in keys:
        shutil.move(str(aside / key.name), key)
    assert "clientaliveinterval 120" in output("sshd", "-T")


@pytest.fixture
def sshd(system: System) -> Iterator[None]:
    """A server on the loopback of this network namespace."""
    assert system.has_command("sshd")
    Path("/run/sshd").mkdir(exist_ok=True)
    argv = ["/usr/sbin/sshd", "-D", "-e", "-p", PORT, "-o", "ListenAddress=127.0.0.1"]
    server = subprocess.Popen(argv, stderr=subprocess.PIPE)
    assert server.stderr is not None
    for line in server.stderr:
        if b"Server listening" in line:
            break
    yield
    server.terminate()
    server.communicate()


@pytest.mark.usefixtures("sshd")
def test_user_logs_in_with_the_key_that_was_deployed(
    system: System, user: str, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    output("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    public = key.with_suffix(".pub").read_text(encoding="ascii")
    path = f"$HOME/{user}/.ssh/authorized_keys"
    assert ssh.deploy_public_key(system, user, path, public, home_dir="/home")
    answer = output(
        "ssh",
        *("-i", str(key), "-p", PORT),
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
        *("-o", "BatchMode=yes", "-o", "LogLevel=ERROR"),
        f"{user}@127.0.0.1",
        "id -un",
    )
    assert answer == user


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
