"""Keys of SSH on this guest: those of users, and those of the host.

Nothing is written into a user's folder but through ``homes``. The server's settings are ``sshd``'s.
Source: spec DAEMON 5.5 and 5.6.
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
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from waagent.core import files
from waagent.core.errors import GuestError
from waagent.core.system import System
from waagent.guest import homes, selinux
from waagent.guest.accounts import Account, read_account

log = logging.getLogger(__name__)

HOST_KEY_TYPES = ("rsa", "dsa", "ecdsa", "ed25519")
KEYGEN_TIMEOUT_S = 300.0
HOST_KEY = "system_u:object_r:sshd_key_t:s0"
_ASIDE = ".waagent-host-keys."
_KEY = re.compile(r"(ssh-|ecdsa-sha2-|sk-)\S+[ \t]+[A-Za-z0-9+/]+={0,2}([ \t].*)?")


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


def ensure_host_keys(system: System, *, ssh_dir: str, key_type: str, regenerate: bool) -> str:
    """See to it that the host has its keys, new ones if asked; the fingerprint without colons.

    ``auto`` is every type that ssh-keygen makes by itself, and the rsa key's fingerprint. New
    keys are made aside and renamed into place: at no time is the host without keys, and when new
    ones cannot be made the old ones stay.
    """
    reported = "rsa" if key_type == "auto" else key_type
    folder = system.path(ssh_dir)
    public = folder / f"ssh_host_{reported}_key.pub"
    for left in find_unfinished(system, ssh_dir=ssh_dir):
        shutil.rmtree(left, ignore_errors=True)
    if regenerate or not (_is_there(public) or _derive_public(system, public)):
        with _generated(system, folder, key_type) as made:
            if f"ssh_host_{reported}_key" not in made:
                raise GuestError(
                    f"cannot find the host key {system.within(public)}: ssh-keygen did not make"
                    " it; choose another Provisioning.SshHostKeyPairType"
                )
            _put_in_place(system, folder, made, replaces=regenerate)
        if regenerate:
            for old in host_key_files(system, ssh_dir=ssh_dir):
                if old.name.replace(".pub", "") not in made:
                    files.remove(old)
    return read_fingerprint(public)


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


def find_unfinished(system: System, *, ssh_dir: str) -> list[Path]:
    """The folders of attempts that were killed while they made host keys."""
    return [path for path in system.path(ssh_dir).glob(f"{_ASIDE}*") if not path.is_symlink()]


def _keys(text: str) -> Iterator[str]:
    every = (line.strip() for line in text.splitlines())
    lines = [line for line in every if line and not line.startswith("#")]
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
            label = selinux.read_label(folder) or b""
            if b":ssh_home_t" not in label:
                selinux.set_label(system, folder, selinux.SSH_HOME)
        yield folder


def _is_there(key: Path) -> bool:
    """An empty file is what a crash left: to ssh-keygen too it is no key."""
    return key.is_file() and key.stat().st_size > 0


def _derive_public(system: System, public: Path) -> bool:
    """Whether there is a private key; its public half, which was missing, is written then."""
    private = public.with_suffix("")
    if not _is_there(private):
        return False
    result = system.run("ssh-keygen", "-y", "-f", system.within(private), timeout_s=60.0)
    if not result.ok:
        raise GuestError(
            f"cannot read the host key {system.within(private)}: {_line(result.output)}; delete"
            " it, and a new one is made at the next start"
        )
    files.write(public, result.stdout)
    return True


@contextlib.contextmanager
def _generated(system: System, folder: Path, key_type: str) -> Iterator[dict[str, Path]]:
    """New private keys by name, each with its public half beside it, in a folder that goes."""
    files.ensure_directory(folder)
    aside = folder / f"{_ASIDE}{os.urandom(6).hex()}"
    # Below a prefix ssh-keygen wants the path that it was built for.
    place = aside / "etc/ssh"
    try:
        aside.mkdir(mode=0o700)
        place.mkdir(parents=True)
        name = system.within(place / f"ssh_host_{key_type}_key")
        every = ["-A", "-f", system.within(aside)]
        argv = every if key_type == "auto" else ["-N", "", "-q", "-t", key_type, "-f", name]
        result = system.run("ssh-keygen", *argv, timeout_s=KEYGEN_TIMEOUT_S)
        if not result.ok:
            raise GuestError(
                f"cannot generate the SSH host keys of type {key_type}: ssh-keygen ended with"
                f" {result.code} ({_line(result.output)})"
            )
        publics = sorted(place.glob("ssh_host_*_key.pub"))
        for public in publics:
            read_fingerprint(public)
        yield {public.stem: public.with_suffix("") for public in publics}
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _put_in_place(
    system: System, folder: Path, made: Mapping[str, Path], *, replaces: bool
) -> None:
    for name, private in made.items():
        if not replaces and _is_there(folder / name):
            continue
        for source in (private, private.with_suffix(".pub")):
            _finish(system, source, folder / source.name)
            source.replace(folder / source.name)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # a file system that cannot: the keys are there all the same
        os.fsync(descriptor)
    os.close(descriptor)


def _finish(system: System, source: Path, target: Path) -> None:
    """On the disk before it has its name, and with the label that the policy has for keys."""
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        label = selinux.read_label(target)
        selinux.set_label(system, descriptor, label.rstrip(b"\0").decode() if label else HOST_KEY)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _line(text: str) -> str:
    return " ".join(text.split())
