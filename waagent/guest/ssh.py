"""SSH on this guest: users' keys, host keys, and the server's settings.

Nothing is written into a user's folder but through ``homes``. Source: spec DAEMON 5.5 and 5.6.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import logging
import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from waagent.core import files
from waagent.core.errors import GuestError
from waagent.core.system import System
from waagent.guest import homes, selinux
from waagent.guest.accounts import Account, read_account
from waagent.guest.sshd_config import set_directives

log = logging.getLogger(__name__)

HOST_KEY_TYPES = ("rsa", "dsa", "ecdsa", "ed25519")
KEYGEN_TIMEOUT_S = 300.0
_KEY = re.compile(r"(ssh-|ecdsa-sha2-|sk-)\S+ [A-Za-z0-9+/]+={0,2}( .*)?")


def key_path(path_text: str, *, home_dir: str) -> str:
    """A key path of the provisioning document as a path of the guest.

    ``$HOME`` is the folder of all homes, not the user's own (spec DAEMON 4.4).
    """
    path = posixpath.normpath(path_text.strip().replace("$HOME", home_dir))
    if not path.startswith("/") or path == "/":
        raise GuestError(f'cannot use "{path_text}" as the path of a key: it is not absolute')
    return path


def deploy_public_key(
    system: System, user: str, path_text: str, key: str, *, home_dir: str
) -> bool:
    """Let a key log in as the user; whether it was not there before.

    A folder that is made is the user's, 0700; the file is the user's, 0600.
    """
    wanted = list(_keys(key))
    path = key_path(path_text, home_dir=home_dir)
    account = read_account(system, user)
    with _key_folder(system, account, path) as folder:
        name = posixpath.basename(path)
        old = homes.read_file(folder, name) or b""
        present = {line.strip() for line in old.decode("utf-8", "backslashreplace").splitlines()}
        new = [line for line in wanted if line not in present]
        if old and not old.endswith(b"\n"):
            old += b"\n"
        data = old + "".join(f"{line}\n" for line in new).encode("utf-8")
        homes.write_file(system, folder, name, data, mode=files.SECRET, owner=account.owner)
    return bool(new)


def deploy_key_pair(
    system: System,
    user: str,
    path_text: str,
    private_pem: str,
    public_text: str,
    *,
    home_dir: str,
) -> None:
    """Give the user a key pair: the private key 0600, the public one 0644, both the user's."""
    path = key_path(path_text, home_dir=home_dir)
    account = read_account(system, user)
    with _key_folder(system, account, path) as folder:
        name = posixpath.basename(path)
        for file_name, text, mode in (
            (name, private_pem, files.SECRET),
            (f"{name}.pub", public_text, files.PUBLIC),
        ):
            data = text.encode("utf-8")
            homes.write_file(system, folder, file_name, data, mode=mode, owner=account.owner)


def configure_sshd(
    system: System, *, ssh_dir: str, allow_password: bool, client_alive_interval: int
) -> bool:
    """Set what the server allows, checked by sshd before it takes effect; whether it changed."""
    path = system.path(f"{ssh_dir}/sshd_config")
    try:
        text = files.read_text(path)
    except FileNotFoundError as error:
        raise GuestError(
            f"cannot configure sshd: there is no {ssh_dir}/sshd_config; install an SSH server,"
            " or set OS.SshDir"
        ) from error
    answer = "yes" if allow_password else "no"
    edited = set_directives(
        text,
        (
            ("PasswordAuthentication", answer),
            ("ChallengeResponseAuthentication", answer),
            ("ClientAliveInterval", str(client_alive_interval)),
        ),
    )
    if edited != text:
        _check_sshd(system, path, edited)
        selinux.rewrite(path, edited)
    log.info(
        "%s SSH password-based authentication methods.",
        "Enabled" if allow_password else "Disabled",
    )
    log.info("Configured SSH client probing to keep connections alive.")
    return edited != text


def ensure_host_keys(system: System, *, ssh_dir: str, key_type: str, regenerate: bool) -> str:
    """See to it that the host has its keys, new ones if asked; the fingerprint without colons.

    ``auto`` is every type that ssh-keygen makes by itself, and the rsa key's fingerprint. When
    new keys cannot be made the old ones stay.
    """
    reported = "rsa" if key_type == "auto" else key_type
    public = system.path(f"{ssh_dir}/ssh_host_{reported}_key.pub")
    if regenerate:
        _regenerate(system, ssh_dir, key_type)
    elif not public.exists():
        _generate(system, ssh_dir, key_type)
    try:
        return read_fingerprint(public)
    except FileNotFoundError as error:
        raise GuestError(
            f"cannot find the host key {system.within(public)}: ssh-keygen did not make it;"
            " choose another Provisioning.SshHostKeyPairType"
        ) from error


def read_fingerprint(public: Path) -> str:
    """The SHA-256 fingerprint of a public key file, as ``SHA256xxxx`` (spec DAEMON 5.6)."""
    words = files.read_text(public, limit=homes.LARGEST).split()
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (IndexError, binascii.Error) as error:
        raise GuestError(
            f'cannot read the host key "{public.name}": it is no public key; delete it, and a'
            " new one is made at the next start"
        ) from error
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii")
    return f"SHA256{digest.rstrip('=')}"


def host_key_files(system: System, *, ssh_dir: str) -> Iterator[Path]:
    """The host keys that exist, by their exact names: certificates and backups are not ours."""
    for key_type in HOST_KEY_TYPES:
        for suffix in ("", ".pub"):
            path = system.path(f"{ssh_dir}/ssh_host_{key_type}_key{suffix}")
            if path.is_file():
                yield path


def _keys(text: str) -> Iterator[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise GuestError("cannot deploy a public key: it is empty")
    for line in lines:
        if not _KEY.fullmatch(line):
            raise GuestError(
                f'cannot deploy the public key "{line[:40]}": it is no OpenSSH public key,'
                " which begins with ssh-, ecdsa-sha2- or sk-"
            )
        yield line


@contextlib.contextmanager
def _key_folder(system: System, account: Account, path: str) -> Iterator[int]:
    """The open folder of a key: made as the user's, 0700; set so again below the user's home."""
    folder_path = posixpath.dirname(path)
    home = posixpath.normpath(account.home)
    with homes.open_folder(system, folder_path, mode=0o700, owner=account.owner) as folder:
        if folder_path.startswith(home.rstrip("/") + "/") and home != "/":
            os.fchmod(folder, 0o700)
            os.fchown(folder, *account.owner)
        yield folder


def _check_sshd(system: System, path: Path, edited: str) -> None:
    """Refuse settings that sshd does not take, unless it did not take the old ones either.

    Before the host has keys, sshd finds fault with any settings.
    """
    if not system.has_command("sshd"):
        return
    candidate = path.with_name(f"{path.name}.waagent-new")
    files.write(candidate, edited, mode=files.SECRET)
    try:
        new = system.run("sshd", "-t", "-f", system.within(candidate), timeout_s=30.0)
    finally:
        files.remove(candidate)
    if new.ok:
        return
    old = system.run("sshd", "-t", "-f", system.within(path), timeout_s=30.0)
    complaint = " ".join(new.output.split())
    if old.ok:
        raise GuestError(
            f"cannot configure sshd: it refuses what would be in its settings ({complaint})"
        )
    log.info("sshd cannot check its settings yet: %s", complaint)


def _regenerate(system: System, ssh_dir: str, key_type: str) -> None:
    saved = [
        (path, files.read(path), path.stat().st_mode & 0o7777)
        for path in host_key_files(system, ssh_dir=ssh_dir)
    ]
    for path, _, _ in saved:
        files.remove(path)
    try:
        _generate(system, ssh_dir, key_type)
    except GuestError:
        for path, data, mode in saved:
            files.write(path, data, mode=mode)
        raise


def _generate(system: System, ssh_dir: str, key_type: str) -> None:
    name = f"{ssh_dir}/ssh_host_{key_type}_key"
    command = ["-A"] if key_type == "auto" else ["-N", "", "-q", "-t", key_type, "-f", name]
    result = system.run("ssh-keygen", *command, timeout_s=KEYGEN_TIMEOUT_S)
    if not result.ok:
        raise GuestError(
            f"cannot generate the SSH host keys of type {key_type}: ssh-keygen ended with"
            f" {result.code} ({' '.join(result.output.split())})"
        )
