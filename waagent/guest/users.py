"""Accounts: create, set a password, lock root's, delete. Who may use sudo is in ``sudoers``.

No password and no hash is ever on a command line (spec DAEMON 5.4, 5.6, 8.3).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
import string
from collections.abc import Collection, Iterator
from typing import Callable, Optional

from waagent.core.errors import CommandFailed, GuestError
from waagent.core.system import System
from waagent.guest import selinux
from waagent.guest.accounts import find_account, is_system_account
from waagent.guest.sha_crypt import LONGEST_SALT, sha256_crypt, sha512_crypt

log = logging.getLogger(__name__)

LOCKED_ROOT = "root:*LOCK*:14600::::::"
PASSWORD_LOCK = "/etc/.pwd.lock"  # noqa: S105 - the file that lckpwdf(3) locks
LOCK_TRIES = 15
JIT_COMMENT = "JIT_Account"

HASHES: dict[str, Callable[[bytes, str], str]] = {"5": sha256_crypt, "6": sha512_crypt}


def ensure_user(
    system: System,
    name: str,
    *,
    expires: Optional[str] = None,
    comment: Optional[str] = None,
) -> bool:
    """Create the account with a home folder unless it exists; whether it was created.

    ``expires`` is a date as ``YYYY-MM-DD``.
    """
    if find_account(system, name) is not None:
        log.info("User %s already exists, skip useradd", name)
        return False
    _refuse_option(name)
    command = ["useradd", "-m", name]
    if expires is not None:
        command += ["-e", expires]
    if comment is not None:
        command += ["-c", comment]
    try:
        system.run(*command).check()
    except CommandFailed as error:
        raise GuestError(
            f"cannot create the user account {name}: useradd ended with {error.code}"
            f" ({error.output.strip()})"
        ) from error
    return True


def set_password(
    system: System,
    name: str,
    password: str,
    *,
    crypt_id: str,
    salt_length: int,
    allow_system_user: bool,
    ordinary: Collection[str] = (),
) -> None:
    """Set the password of an account; that of a system account only if that is allowed.

    A method that we cannot hash by is left to the guest's own ``chpasswd``, and logged.
    """
    if not allow_system_user and is_system_account(system, name, ordinary=ordinary):
        raise GuestError(
            f"cannot set the password of {name}: it is a system user; choose another name,"
            " or set Provisioning.AllowResetSysUser=y"
        )
    if ":" in name or "\n" in name:
        raise GuestError(f'cannot set the password of "{name}": that is no user name')
    method = HASHES.get(crypt_id)
    if method is None:
        _set_by_guest(system, name, password, crypt_id)
        return
    salt = make_salt(salt_length)
    line = f"{name}:{method(password.encode('utf-8'), salt)}\n"
    _chpasswd(system, name, line, "-e")


def make_salt(length: int) -> str:
    """Random letters and digits; never more than the methods use."""
    letters = string.ascii_letters + string.digits
    return "".join(secrets.choice(letters) for _ in range(min(max(length, 1), LONGEST_SALT)))


def lock_root_password(system: System, *, shadow_path: str) -> bool:
    """Make root's password one that nobody has; whether that changed the file (spec 5.6)."""
    path = system.path(shadow_path)
    try:
        with shadow_lock(system):
            text = path.read_bytes()
            others = [line for line in text.splitlines() if not line.startswith(b"root:")]
            locked = b"".join(line + b"\n" for line in [LOCKED_ROOT.encode(), *others])
            if locked == text:
                return False
            selinux.rewrite(path, locked)
            return True
    except OSError as error:
        raise GuestError(
            f"cannot lock the root password in {shadow_path}: {error.strerror}; check"
            " OS.PasswordPath"
        ) from error


@contextlib.contextmanager
def shadow_lock(system: System) -> Iterator[None]:
    """Hold the lock under which programs change the account files, as lckpwdf(3) does."""
    path = system.path(PASSWORD_LOCK)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        for _ in range(LOCK_TRIES):
            with contextlib.suppress(BlockingIOError, PermissionError):
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            system.clock.wait(None, 1.0)
        else:
            raise GuestError(
                f"cannot change the account files: {PASSWORD_LOCK} has been locked by another"
                f" program for {LOCK_TRIES} s; try again when that has ended"
            )
        yield
    finally:
        os.close(descriptor)


def delete_user(system: System, name: str, *, ordinary: Collection[str] = ()) -> bool:
    """Delete an account with its home folder; a system account is left alone (spec 8.3).

    Whether the account is gone now. Its sudoers lines are ``sudoers.remove_sudoer``'s.
    """
    if find_account(system, name) is None:
        return True
    if is_system_account(system, name, ordinary=ordinary):
        log.error("%s is a system user. Will not delete it.", name)
        return False
    _refuse_option(name)
    with contextlib.suppress(OSError):  # older versions of userdel fail where it is absent
        system.path("/var/run/utmp").touch(0o664)
    result = system.run("userdel", "-f", "-r", name)
    if not result.ok:
        log.warning(
            "Cannot delete everything of %s: userdel ended with %d (%s)",
            name,
            result.code,
            " ".join(result.output.split()),
        )
    return find_account(system, name) is None


def _set_by_guest(system: System, name: str, password: str, crypt_id: str) -> None:
    log.warning(
        'Cannot hash a password by method "%s", known are 5 and 6: the guest chooses the method',
        crypt_id,
    )
    if "\n" in password:
        raise GuestError(
            f"cannot set the password of {name}: it has a line break; use"
            " Provisioning.PasswordCryptId=6"
        )
    _chpasswd(system, name, f"{name}:{password}\n")


def _chpasswd(system: System, name: str, line: str, *options: str) -> None:
    result = system.run("chpasswd", *options, stdin=line.encode("utf-8"))
    if not result.ok:
        # The output is not shown: some versions repeat the line they were given.
        raise GuestError(f"cannot set the password of {name}: chpasswd ended with {result.code}")


def _refuse_option(name: str) -> None:
    if not name or name.startswith("-"):
        raise GuestError(f'cannot use "{name}" as a user name')
