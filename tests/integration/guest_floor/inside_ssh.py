"""sshd, ssh and ssh-keygen on a machine that is thrown away: what they make of our settings.

Started by ``test_guest_real``; anywhere else everything here fails before it does anything.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.guest_floor.programs import PASSWORD, mode, output, run
from waagent.core.errors import GuestError
from waagent.core.system import System
from waagent.guest import ssh, sshd, users

PORT = "2222"
MAIN = Path("/etc/ssh/sshd_config")
DROP_INS = Path("/etc/ssh/sshd_config.d")
NO_QUESTIONS = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf\n"


@pytest.mark.parametrize("key_type", ["rsa", "ecdsa", "ed25519", "auto"])
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
    assert list(Path("/etc/ssh").glob(".waagent*")) == []


def test_old_host_keys_survive_a_type_that_ssh_keygen_does_not_know(system: System) -> None:
    before = Path("/etc/ssh/ssh_host_ed25519_key").read_bytes()
    with pytest.raises(GuestError, match="cannot generate"):
        ssh.ensure_host_keys(system, ssh_dir="/etc/ssh", key_type="dsa1024x", regenerate=True)
    assert Path("/etc/ssh/ssh_host_ed25519_key").read_bytes() == before
    assert mode("/etc/ssh/ssh_host_ed25519_key") == 0o600


def test_public_half_of_a_host_key_is_found_again(system: System) -> None:
    public = Path("/etc/ssh/ssh_host_rsa_key.pub")
    before = public.read_text(encoding="ascii").split()[:2]
    private = public.with_suffix("").read_bytes()
    public.unlink()
    ssh.ensure_host_keys(system, ssh_dir="/etc/ssh", key_type="auto", regenerate=False)
    assert public.read_text(encoding="ascii").split()[:2] == before
    assert public.with_suffix("").read_bytes() == private


def test_host_keys_go_to_the_folder_that_is_configured(system: System) -> None:
    ssh.ensure_host_keys(system, ssh_dir="/opt/ssh", key_type="auto", regenerate=True)
    assert len(list(Path("/opt/ssh").glob("ssh_host_*_key"))) == 3


@pytest.fixture
def settings(system: System) -> Iterator[Path]:
    """The main file as the distribution ships it, and afterwards again."""
    assert system.has_command("sshd")
    before = MAIN.read_bytes()
    yield MAIN
    MAIN.write_bytes(before)
    for path in DROP_INS.glob("*.conf"):
        path.unlink()


def configure(system: System, *, interval: int = 180, allow_password: bool = False) -> bool:
    return sshd.configure_sshd(
        system,
        ssh_dir="/etc/ssh",
        user="azuinside",
        allow_password=allow_password,
        client_alive_interval=interval,
    )


def effective(user: str = "somebody") -> dict[str, str]:
    """What holds for a user, as sshd itself says it."""
    where = f"user={user},host=h,addr=198.51.100.1,laddr=198.51.100.2,lport=22"
    lines = output("sshd", "-T", "-C", where).splitlines()
    pairs = [line.partition(" ") for line in lines]
    return {name: value for name, _, value in pairs}


def answers(user: str = "somebody") -> tuple[str, str]:
    """Whether a password is asked for, by either method."""
    held = effective(user)
    return held["passwordauthentication"], held["kbdinteractiveauthentication"]


@pytest.mark.usefixtures("settings")
def test_sshd_obeys_its_new_settings_whether_it_was_started_or_not(system: System) -> None:
    shutil.rmtree("/run/sshd", ignore_errors=True)
    assert configure(system)
    assert answers() == ("no", "no")
    assert effective()["clientaliveinterval"] == "180"
    assert not configure(system)
    assert configure(system, allow_password=True)
    assert answers() == ("yes", "yes")


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize(
    "included",
    [
        "PasswordAuthentication {}\n",
        "passwordauthentication={}\nKbdInteractiveAuthentication {}\n",
        "ChallengeResponseAuthentication {}\nClientAliveInterval 7\n",
    ],
)
def test_what_was_asked_holds_against_the_files_of_cloud_images(
    system: System, settings: Path, included: str, allowed: bool
) -> None:
    other = DROP_INS / "50-cloud-init.conf"
    text = included.replace("{}", "no" if allowed else "yes")
    other.write_text(text, encoding="ascii")
    assert configure(system, allow_password=allowed)
    assert answers() == (("yes", "yes") if allowed else ("no", "no"))
    assert effective()["clientaliveinterval"] == "180"
    assert other.read_text(encoding="ascii") == text
    once = settings.read_bytes()
    assert not configure(system, allow_password=allowed)
    assert settings.read_bytes() == once
    # Another answer later, as for a machine made of this one's disk.
    assert configure(system, allow_password=not allowed)
    assert answers() == (("no", "no") if allowed else ("yes", "yes"))


def test_match_blocks_have_the_last_word(system: System, settings: Path) -> None:
    block = "Match User azuinside\n  PasswordAuthentication yes\nMatch LocalPort 22\n"
    settings.write_text(f"{INCLUDE}{block}", encoding="ascii")
    assert configure(system)
    assert answers("somebody") == ("no", "no")
    assert answers("azuinside") == ("yes", "no")
    assert settings.read_text(encoding="ascii").endswith(f"\n{block}")


@pytest.mark.usefixtures("settings")
def test_match_block_in_an_included_file_does_not_swallow_ours(system: System) -> None:
    (DROP_INS / "10-bob.conf").write_text("Match User bob\nX11Forwarding no\n", encoding="ascii")
    assert configure(system)
    assert answers() == answers("bob") == ("no", "no")


def test_settings_that_sshd_refuses_are_not_written(system: System, settings: Path) -> None:
    before = settings.read_bytes()
    with pytest.raises(GuestError, match="it refuses"):
        configure(system, interval=-5)
    assert settings.read_bytes() == before
    assert [each.name for each in settings.parent.glob("sshd_config*") if each.is_file()] == [
        "sshd_config"
    ]


@pytest.mark.usefixtures("settings")
def test_settings_are_written_before_there_are_host_keys(system: System) -> None:
    aside = Path("/run/keys")
    aside.mkdir()
    keys = list(Path("/etc/ssh").glob("ssh_host_*"))
    for key in keys:
        shutil.move(str(key), aside / key.name)
    assert configure(system, interval=120)
    for key in keys:
        shutil.move(str(aside / key.name), key)
    assert effective()["clientaliveinterval"] == "120"


def test_settings_of_the_vendor_are_completed_by_a_file(system: System, settings: Path) -> None:
    vendor = Path(sshd.VENDOR_FILE)
    vendor.parent.mkdir(parents=True)
    vendor.write_text(f"{INCLUDE}UsePAM yes\nPasswordAuthentication yes\n", encoding="ascii")
    kept = settings.read_bytes()
    settings.unlink()
    (DROP_INS / "50-x.conf").write_text("PasswordAuthentication yes\n", encoding="ascii")
    assert configure(system)
    lines = output("sshd", "-T", "-f", str(vendor)).splitlines()
    assert {"passwordauthentication no", "kbdinteractiveauthentication no"} <= set(lines)
    assert not configure(system)
    vendor.unlink()
    settings.write_bytes(kept)


@contextlib.contextmanager
def read_only(folder: str) -> Iterator[None]:
    """The folder as it is on an image that nobody can write to."""
    output("mount", "--bind", folder, folder)
    output("mount", "-o", "remount,ro,bind", folder)
    yield
    output("umount", folder)


@pytest.mark.usefixtures("settings")
def test_settings_that_cannot_be_changed_are_fine_if_they_are_what_is_asked(
    system: System,
) -> None:
    configure(system, interval=90)
    with read_only("/etc/ssh"):
        assert not configure(system, interval=180)
        with pytest.raises(GuestError, match=r"cannot be changed \(Read-only file system\)"):
            configure(system, allow_password=True)
    assert effective()["clientaliveinterval"] == "90"


@pytest.mark.usefixtures("settings")
def test_settings_that_are_mounted_are_fine_if_they_are_what_is_asked(system: System) -> None:
    """As a file that was made immutable: what is beside it can be written, it cannot."""
    configure(system, interval=90)
    output("mount", "--bind", str(MAIN), str(MAIN))
    assert not configure(system, interval=180)
    with pytest.raises(GuestError, match=r"cannot be changed \(Device or resource busy\)"):
        configure(system, allow_password=True)
    output("umount", str(MAIN))
    assert effective()["clientaliveinterval"] == "90"


def test_settings_that_nobody_can_change_or_read_are_an_error(
    system: System, settings: Path
) -> None:
    settings.write_text("PasswordAuthentication no\nNonsense yes\n", encoding="ascii")
    with read_only("/etc/ssh"), pytest.raises(GuestError, match="cannot be changed"):
        configure(system)


@contextlib.contextmanager
def server() -> Iterator[None]:
    """A server on the loopback of this network namespace."""
    Path("/run/sshd").mkdir(exist_ok=True)
    argv = ["/usr/sbin/sshd", "-D", "-e", "-p", PORT, "-o", "ListenAddress=127.0.0.1"]
    running = subprocess.Popen(argv, stderr=subprocess.PIPE)
    assert running.stderr is not None
    for line in running.stderr:
        if b"Server listening" in line:
            break
    yield
    running.terminate()
    running.communicate()


def log_in(user: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Ask the server who we are; the password is what ssh is told when it asks."""
    asking = Path("/run/answer")
    asking.write_text(f"#!/bin/sh\necho '{PASSWORD}'\n", encoding="utf-8")
    asking.chmod(0o700)
    environment = {**os.environ, "SSH_ASKPASS": str(asking), "SSH_ASKPASS_REQUIRE": "force"}
    return run(
        *("ssh", "-p", PORT, *NO_QUESTIONS, "-o", "LogLevel=ERROR", *options),
        *(f"{user}@127.0.0.1", "id -un"),
        environment=environment,
    )


def deploy(system: System, user: str, folder: Path) -> Path:
    """A key pair whose public half the user has; the private half."""
    key = folder / "key"
    output("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    public = key.with_suffix(".pub").read_text(encoding="ascii")
    path = f"$HOME/{user}/.ssh/authorized_keys"
    assert ssh.deploy_public_key(system, user, path, public, home_dir="/home")
    return key


@pytest.mark.usefixtures("settings")
def test_user_logs_in_with_the_key_that_was_deployed(
    system: System, user: str, tmp_path: Path
) -> None:
    key = deploy(system, user, tmp_path)
    with server():
        done = log_in(user, "-i", str(key), "-o", "BatchMode=yes")
    assert done.stdout.strip() == user, done.stderr


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
def test_password_opens_the_machine_only_when_that_was_asked(
    system: System, user: str, method: str
) -> None:
    (DROP_INS / "50-cloud-init.conf").write_text(
        "PasswordAuthentication yes\nKbdInteractiveAuthentication yes\n", encoding="ascii"
    )
    users.set_password(
        system, user, PASSWORD, crypt_id="6", salt_length=10, allow_system_user=False
    )
    only = ("-o", f"PreferredAuthentications={method}", "-o", "NumberOfPasswordPrompts=1")
    for allowed in (True, False):
        configure(system, allow_password=allowed)
        with server():
            done = log_in(user, *only)
        assert (done.stdout.strip() == user) is allowed, done.stderr
    assert "Permission denied (publickey)" in done.stderr
