"""Users' keys, host keys, and the SSH server's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest

from tests.support.machine import Guest, Machine, User
from tests.support.runner import Answer, Answers, Argv, fails, ok
from waagent.core.errors import GuestError
from waagent.guest import ssh

AZU = User("azu")
KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7 azu@here"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMq other"
PATH = "$HOME/azu/.ssh/authorized_keys"
FILE = "/home/azu/.ssh/authorized_keys"
PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINgsImw4NO2jewjy1dmPxJ/bqCBSrVo2pXtYEcQbAEVo host\n"
FINGERPRINT = "SHA256oyo8TkV0Reb2+DK0ZiLUCfMslfV4lFla16szdnFoUuw"


def deploy(guest: Guest, key: str = KEY, path: str = PATH) -> bool:
    return ssh.deploy_public_key(guest.system, "azu", path, key, home_dir="/home")


def test_public_key_is_the_users_and_nobody_elses(tmp_path: Path) -> None:
    guest = Machine(users=[AZU], folders=["/home/azu"]).boot(tmp_path)
    assert deploy(guest)
    assert guest.file(FILE) == f"{KEY}\n"
    assert guest.mode(FILE) == 0o600
    assert guest.mode("/home/azu/.ssh") == 0o700
    assert guest.owner(FILE) == guest.owner("/home/azu/.ssh") == (AZU.uid, AZU.gid)


def test_public_key_is_added_once_however_often_it_is_deployed(tmp_path: Path) -> None:
    guest = Machine(users=[AZU], files={FILE: OTHER}).boot(tmp_path)
    assert deploy(guest, f"{KEY}\r\n")
    assert not deploy(guest)
    assert guest.file(FILE) == f"{OTHER}\n{KEY}\n"


def test_public_key_folder_below_the_home_becomes_the_users(tmp_path: Path) -> None:
    guest = Machine(users=[AZU], files={FILE: ""}, modes={"/home/azu/.ssh": 0o777}).boot(tmp_path)
    deploy(guest)
    assert guest.mode("/home/azu/.ssh") == 0o700
    assert guest.owner("/home/azu/.ssh") == (AZU.uid, AZU.gid)


def test_public_key_folder_elsewhere_keeps_its_mode(tmp_path: Path) -> None:
    guest = Machine(users=[AZU], folders=["/etc/ssh"], modes={"/etc/ssh": 0o755}).boot(tmp_path)
    deploy(guest, path="/etc/ssh/azu_keys")
    assert guest.mode("/etc/ssh") == 0o755
    assert guest.file("/etc/ssh/azu_keys") == f"{KEY}\n"


@pytest.mark.parametrize(
    "key",
    [
        OTHER,
        "ecdsa-sha2-nistp256 AAAAE2Vj",
        "sk-ssh-ed25519@openssh.com AAAAGnNr user",
        f"{KEY}\n{OTHER}\n",
    ],
)
def test_public_keys_of_every_kind_are_deployed(tmp_path: Path, key: str) -> None:
    guest = Machine(users=[AZU]).boot(tmp_path)
    assert deploy(guest, key)
    assert guest.file(FILE).strip() == key.strip()


@pytest.mark.parametrize(
    "key", ["", "  \n", "AAAAB3", "ssh-rsa", "-----BEGIN CERTIFICATE-----", 'command="x" ssh-rsa A']
)
def test_text_that_is_no_public_key_is_refused(tmp_path: Path, key: str) -> None:
    guest = Machine(users=[AZU]).boot(tmp_path)
    with pytest.raises(GuestError, match="cannot deploy"):
        deploy(guest, key)
    assert not guest.path("/home/azu/.ssh").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$HOME/azu/.ssh/keys", "/srv/home/azu/.ssh/keys"),
        ("/home/azu//.ssh/./keys", "/home/azu/.ssh/keys"),
    ],
)
def test_home_in_a_key_path_is_the_folder_of_all_homes(text: str, expected: str) -> None:
    assert ssh.key_path(text, home_dir="/srv/home") == expected


@pytest.mark.parametrize("text", ["", "keys", "/", "/.."])
def test_key_path_that_leads_nowhere_is_refused(text: str) -> None:
    with pytest.raises(GuestError, match="as the path of a key"):
        ssh.key_path(text, home_dir="/home")


def test_key_of_a_user_who_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match='cannot find the user "azu"'):
        deploy(Machine().boot(tmp_path))


def test_key_pair_can_be_used_by_its_user(tmp_path: Path) -> None:
    guest = Machine(users=[AZU], folders=["/home/azu"]).boot(tmp_path)
    path = "$HOME/azu/.ssh/id_rsa"
    ssh.deploy_key_pair(guest.system, "azu", path, "PRIVATE\n", "PUBLIC\n", home_dir="/home")
    assert guest.file("/home/azu/.ssh/id_rsa") == "PRIVATE\n"
    assert guest.file("/home/azu/.ssh/id_rsa.pub") == "PUBLIC\n"
    assert guest.mode("/home/azu/.ssh/id_rsa") == 0o600
    assert guest.mode("/home/azu/.ssh/id_rsa.pub") == 0o644
    assert guest.owner("/home/azu/.ssh/id_rsa") == (AZU.uid, AZU.gid)


SSHD = "/etc/ssh/sshd_config"
SET = "Port 22\nPasswordAuthentication no\nChallengeResponseAuthentication no\n"


def configure(guest: Guest) -> bool:
    return ssh.configure_sshd(
        guest.system, ssh_dir="/etc/ssh", allow_password=False, client_alive_interval=180
    )


def with_sshd(tmp_path: Path, *answers: Answer) -> Guest:
    commands: dict[Argv, Answers] = {("sshd", "-t"): answers} if answers else {}
    machine = Machine(files={SSHD: "Port 22\n"}, modes={SSHD: 0o600}, commands=commands)
    return machine.boot(tmp_path)


def test_sshd_is_configured_once(tmp_path: Path) -> None:
    guest = with_sshd(tmp_path)
    assert configure(guest)
    assert not configure(guest)
    assert guest.file(SSHD) == f"{SET}ClientAliveInterval 180\n"
    assert guest.mode(SSHD) == 0o600


def test_sshd_settings_are_checked_before_they_take_effect(tmp_path: Path) -> None:
    guest = with_sshd(tmp_path, ok())
    configure(guest)
    assert guest.ran == [("sshd", "-t", "-f", f"{SSHD}.waagent-new")]
    assert guest.names("/etc/ssh") == ["sshd_config"]


def test_sshd_settings_that_sshd_refuses_change_nothing(tmp_path: Path) -> None:
    guest = with_sshd(tmp_path, fails(255, "bad option"), ok())
    with pytest.raises(GuestError, match=r"it refuses.*bad option"):
        configure(guest)
    assert guest.file(SSHD) == "Port 22\n"
    assert guest.names("/etc/ssh") == ["sshd_config"]


def test_sshd_settings_are_set_when_sshd_finds_fault_with_any(tmp_path: Path) -> None:
    guest = with_sshd(tmp_path, fails(1, "no hostkeys"), fails(1, "no hostkeys"))
    assert configure(guest)
    assert "PasswordAuthentication no" in guest.file(SSHD)


def test_sshd_without_settings_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match=r"no /etc/ssh/sshd_config.*OS\.SshDir"):
        configure(Machine().boot(tmp_path))


HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
GENERATE = ("ssh-keygen", "-N", "", "-q", "-t", "ed25519", "-f", HOST_KEY)


def with_keys(tmp_path: Path, effect: Answer, **files: str) -> Guest:
    laid_out = {f"/etc/ssh/{name}": content for name, content in files.items()}
    return Machine(files=laid_out, commands={GENERATE: effect}).boot(tmp_path)


def makes_key(root: Path) -> Callable[[Argv, bytes], None]:
    def make(_argv: Argv, _stdin: bytes) -> None:
        folder = root / "etc/ssh"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ssh_host_ed25519_key").write_text("new", encoding="ascii")
        (folder / "ssh_host_ed25519_key.pub").write_text(PUBLIC, encoding="ascii")

    return make


def ensure(guest: Guest, *, regenerate: bool) -> str:
    return ssh.ensure_host_keys(
        guest.system, ssh_dir="/etc/ssh", key_type="ed25519", regenerate=regenerate
    )


def test_host_keys_are_made_anew_and_the_old_ones_deleted_by_their_names(tmp_path: Path) -> None:
    guest = with_keys(
        tmp_path,
        ok(do=makes_key(tmp_path)),
        ssh_host_rsa_key="old",
        ssh_host_ed25519_key="old",
        **{"ssh_host_rsa_key-cert.pub": "certificate", "ssh_host_my_key_notes": "mine"},
    )
    assert ensure(guest, regenerate=True) == FINGERPRINT
    assert guest.file(HOST_KEY) == "new"
    assert guest.names("/etc/ssh") == [
        "ssh_host_ed25519_key",
        "ssh_host_ed25519_key.pub",
        "ssh_host_my_key_notes",
        "ssh_host_rsa_key-cert.pub",
    ]


def test_host_key_that_exists_is_kept(tmp_path: Path) -> None:
    guest = Machine(files={f"{HOST_KEY}.pub": PUBLIC}).boot(tmp_path)
    assert ensure(guest, regenerate=False) == FINGERPRINT
    assert guest.ran == []


def test_host_key_that_is_missing_is_made(tmp_path: Path) -> None:
    guest = with_keys(tmp_path, ok(do=makes_key(tmp_path)))
    assert ensure(guest, regenerate=False) == FINGERPRINT


def test_old_host_keys_stay_when_new_ones_cannot_be_made(tmp_path: Path) -> None:
    guest = with_keys(tmp_path, fails(1, "unknown key type"), ssh_host_rsa_key="old")
    guest.path("/etc/ssh/ssh_host_rsa_key").chmod(0o600)
    with pytest.raises(GuestError, match=r"ed25519: ssh-keygen ended with 1 \(unknown key type"):
        ensure(guest, regenerate=True)
    assert guest.file("/etc/ssh/ssh_host_rsa_key") == "old"
    assert guest.mode("/etc/ssh/ssh_host_rsa_key") == 0o600


def test_host_keys_of_every_type_are_left_to_ssh_keygen(tmp_path: Path) -> None:
    def make(_argv: Argv, _stdin: bytes) -> None:
        (tmp_path / "etc/ssh/ssh_host_rsa_key.pub").write_text(PUBLIC, encoding="ascii")

    machine = Machine(folders=["/etc/ssh"], commands={("ssh-keygen", "-A"): ok(do=make)})
    guest = machine.boot(tmp_path)
    found = ssh.ensure_host_keys(guest.system, ssh_dir="/etc/ssh", key_type="auto", regenerate=True)
    assert found == FINGERPRINT


def test_host_key_that_ssh_keygen_did_not_make_is_an_error(tmp_path: Path) -> None:
    guest = with_keys(tmp_path, ok())
    with pytest.raises(GuestError, match=r"cannot find the host key.*SshHostKeyPairType"):
        ensure(guest, regenerate=True)


@pytest.mark.parametrize("content", ["", "one", "ssh-rsa !!!!"])
def test_host_key_that_is_damaged_is_an_error(tmp_path: Path, content: str) -> None:
    guest = Machine(files={f"{HOST_KEY}.pub": content}).boot(tmp_path)
    with pytest.raises(GuestError, match=r"cannot read the host key.*delete it"):
        ensure(guest, regenerate=False)
