"""Users' keys and host keys."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest

from tests.support.machine import Guest, Machine, User
from tests.support.runner import Answer, Argv, fails, missing, ok, times_out
from waagent.core.errors import AgentError, GuestError
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
        "ssh-ed25519  AAAAC3Nz \t user",
        "ssh-ed25519\tAAAAC3Nz",
    ],
)
def test_public_keys_of_every_kind_are_deployed(tmp_path: Path, key: str) -> None:
    guest = Machine(users=[AZU]).boot(tmp_path)
    assert deploy(guest, key)
    assert guest.file(FILE).strip() == key.strip()


def test_remark_between_public_keys_is_left_out(tmp_path: Path) -> None:
    guest = Machine(users=[AZU]).boot(tmp_path)
    assert deploy(guest, f"# mine\n{KEY}\n")
    assert guest.file(FILE) == f"{KEY}\n"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "  \n",
        "# none",
        "AAAAB3",
        "ssh-rsa",
        "-----BEGIN CERTIFICATE-----",
        'command="x" ssh-rsa A',
    ],
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


HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
GENERATE = ("ssh-keygen", "-N", "", "-q", "-t", "ed25519", "-f")
OTHERS = {"ssh_host_rsa_key-cert.pub": "certificate", "ssh_host_my_key_notes": "mine"}


def with_keys(tmp_path: Path, effect: Answer, **files: str) -> Guest:
    laid_out = {f"/etc/ssh/{name}": content for name, content in files.items()}
    return Machine(files=laid_out, commands={("ssh-keygen",): effect}).boot(tmp_path)


def makes_key(root: Path) -> Callable[[Argv, bytes], None]:
    """What ssh-keygen does; meanwhile the host has the keys that it had before."""
    before = {path.name for path in (root / "etc/ssh").glob("ssh_host_*")}

    def make(argv: Argv, _stdin: bytes) -> None:
        assert before <= {path.name for path in (root / "etc/ssh").glob("ssh_host_*")}
        for name in [argv[-1]] if "-A" not in argv else AUTO:
            path = root / (argv[-1] + name if "-A" in argv else name).lstrip("/")
            path.write_text("new", encoding="ascii")
            Path(f"{path}.pub").write_text(PUBLIC, encoding="ascii")

    return make


AUTO = [f"/etc/ssh/ssh_host_{each}_key" for each in ("rsa", "ecdsa", "ed25519")]


def ensure(guest: Guest, *, regenerate: bool) -> str:
    return ssh.ensure_host_keys(
        guest.system, ssh_dir="/etc/ssh", key_type="ed25519", regenerate=regenerate
    )


def test_host_keys_are_made_aside_and_the_old_ones_deleted_by_their_names(tmp_path: Path) -> None:
    guest = with_keys(tmp_path, ok(), ssh_host_rsa_key="old", ssh_host_ed25519_key="old", **OTHERS)
    guest.runner.answers = {GENERATE: ok(do=makes_key(tmp_path))}
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


@pytest.mark.parametrize("regenerate", [False, True])
def test_host_key_that_is_missing_is_made(tmp_path: Path, regenerate: bool) -> None:
    guest = with_keys(tmp_path, ok(do=makes_key(tmp_path)))
    assert ensure(guest, regenerate=regenerate) == FINGERPRINT
    assert guest.names("/etc/ssh") == ["ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"]


@pytest.mark.parametrize("public", [{}, {"ssh_host_ed25519_key.pub": ""}], ids=["none", "empty"])
def test_host_key_that_a_crash_left_empty_is_made(tmp_path: Path, public: dict[str, str]) -> None:
    files = {"ssh_host_ed25519_key": "", **public}
    guest = with_keys(tmp_path, ok(do=makes_key(tmp_path)), **files)
    assert ensure(guest, regenerate=False) == FINGERPRINT
    assert guest.file("/etc/ssh/ssh_host_ed25519_key") != ""


def test_host_key_whose_public_half_is_missing_is_kept(tmp_path: Path) -> None:
    guest = with_keys(tmp_path, ok(PUBLIC), ssh_host_ed25519_key="mine")
    assert ensure(guest, regenerate=False) == FINGERPRINT
    assert guest.ran == [("ssh-keygen", "-y", "-f", HOST_KEY)]
    assert guest.file(HOST_KEY) == "mine"


def test_host_key_that_cannot_be_read_is_an_error_and_stays(tmp_path: Path) -> None:
    guest = with_keys(tmp_path, fails(255, "invalid format"), ssh_host_ed25519_key="cut")
    with pytest.raises(GuestError, match=r"cannot read the host key .*invalid format; delete"):
        ensure(guest, regenerate=False)
    assert guest.file(HOST_KEY) == "cut"


@pytest.mark.parametrize(
    "answer", [fails(1, "unknown key type"), missing(), times_out(), ok()], ids=repr
)
def test_old_host_keys_stay_when_new_ones_cannot_be_made(tmp_path: Path, answer: Answer) -> None:
    guest = with_keys(tmp_path, answer, ssh_host_rsa_key="old")
    guest.path("/etc/ssh/ssh_host_rsa_key").chmod(0o600)
    with pytest.raises(AgentError):
        ensure(guest, regenerate=True)
    assert guest.file("/etc/ssh/ssh_host_rsa_key") == "old"
    assert guest.mode("/etc/ssh/ssh_host_rsa_key") == 0o600
    assert guest.names("/etc/ssh") == ["ssh_host_rsa_key"]


def test_host_keys_of_every_type_are_left_to_ssh_keygen(tmp_path: Path) -> None:
    guest = with_keys(tmp_path, ok(do=makes_key(tmp_path)), ssh_host_dsa_key="weak")
    found = ssh.ensure_host_keys(guest.system, ssh_dir="/etc/ssh", key_type="auto", regenerate=True)
    assert found == FINGERPRINT
    assert guest.ran[0][:3] == ("ssh-keygen", "-A", "-f")
    keys = sorted(name.rpartition("/")[2] for name in AUTO)
    assert [name for name in guest.names("/etc/ssh") if not name.endswith(".pub")] == keys


def test_host_keys_that_exist_are_not_replaced_to_complete_them(tmp_path: Path) -> None:
    guest = with_keys(tmp_path, ok(do=makes_key(tmp_path)), ssh_host_ecdsa_key="mine")
    ssh.ensure_host_keys(guest.system, ssh_dir="/etc/ssh", key_type="auto", regenerate=False)
    assert guest.file("/etc/ssh/ssh_host_ecdsa_key") == "mine"
    assert guest.file("/etc/ssh/ssh_host_rsa_key") == "new"


def test_host_keys_of_an_attempt_that_was_killed_are_swept(tmp_path: Path) -> None:
    guest = Machine(
        files={
            f"{HOST_KEY}.pub": PUBLIC,
            "/etc/ssh/.waagent-host-keys.01ab/etc/ssh/ssh_host_ed25519_key": "half",
        }
    ).boot(tmp_path)
    ensure(guest, regenerate=False)
    assert guest.names("/etc/ssh") == ["ssh_host_ed25519_key.pub"]


def test_host_key_that_ssh_keygen_did_not_make_is_an_error(tmp_path: Path) -> None:
    guest = with_keys(tmp_path, ok())
    with pytest.raises(GuestError, match=r"cannot find the host key.*SshHostKeyPairType"):
        ensure(guest, regenerate=True)


@pytest.mark.parametrize("content", ["one", "ssh-rsa !!!!"])
def test_host_key_that_is_damaged_is_an_error(tmp_path: Path, content: str) -> None:
    guest = Machine(files={f"{HOST_KEY}.pub": content}).boot(tmp_path)
    with pytest.raises(GuestError, match=r"cannot read the host key.*delete it"):
        ensure(guest, regenerate=False)
