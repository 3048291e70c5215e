"""Accounts: create, set a password, lock root's, delete. Who may use sudo is in ``sudoers``.

No password and no hash is ever on a command line (spec DAEMON 5.4, 5.6, 8.3).
"""

from __future__ import annotations

import contextlib
import logging
import os
import posixpath
import re
import secrets
import string
from collections.abc import Collection
from typing import Callable, Optional

from waagent.core.errors import CommandFailed, CommandTimedOut, GuestError, describe
from waagent.core.system import System
from waagent.guest import homes, selinux
from waagent.guest.account_locks import change_accounts, find_disk_trouble, shadow_lock
from waagent.guest.accounts import (
    Account,
    find_account,
    has_account_with,
    has_group,
    is_system_account,
    read_shadow,
    read_uid_min,
)
from waagent.guest.sha_crypt import LONGEST_SALT, sha256_crypt, sha512_crypt

log = logging.getLogger(__name__)

LOCKED_ROOT = "root:*LOCK*:14600::::::"
HOME_MODE = 0o750
NO_HOMES = ("", "/", "/dev/null", "/nonexistent")
JIT_COMMENT = "JIT_Account"
_NAME = re.compile(r"[^-/:\s][^/:\s]*")
_DAY_S = 24 * 3600
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

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
    account = find_account(system, name)
    if account is not None:
        log.info("User %s already exists, skip useradd", name)
        _tell_obstacles(system, account)
        _ensure_home(system, account)
        return False
    _refuse_name(name)
    command = ["useradd", "-m", name]
    if expires is not None:
        command += ["-e", expires]
    if comment is not None:
        command += ["-c", comment]
    if has_group(system, name):
        log.info("There is a group %s already: it becomes the user's own", name)
        command += ["-g", name]
    try:
        change_accounts(system, *command).check()
    except CommandTimedOut as error:
        raise GuestError(f"cannot create the user account {name}: {error}") from error
    except CommandFailed as error:
        raise GuestError(
            f"cannot create the user account {name}: useradd ended with {error.code}"
            f" ({error.output.strip()})"
        ) from error
    _adopt_home(system, name)
    return True


def allow_keys_only(system: System, name: str, *, ordinary: Collection[str] = ()) -> bool:
    """See to it that an account without a password is not a locked one; whether it was.

    useradd locks a new account, and an sshd without PAM then takes no key either. With ``*`` no
    password fits, as before. A password that was locked stays locked, and system accounts too.
    Where it cannot be done that is told, and no reason to go without the key.
    """
    fields = read_shadow(system, name)
    if len(fields) < 2 or fields[1] not in ("!", "!!"):
        return False
    if is_system_account(system, name, ordinary=ordinary):
        return False
    try:
        _chpasswd(system, name, f"{name}:*\n", "-e")
    except GuestError as error:
        log.warning("%s stays locked, and an sshd without PAM takes no key for it: %s", name, error)
        return False
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
    _refuse_name(name)
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


def delete_user(
    system: System, name: str, *, ordinary: Collection[str] = (), with_home: bool = True
) -> bool:
    """Delete an account with its home folder; a system account is left alone (spec 8.3).

    Whether the account is gone now. Its sudoers lines are ``sudoers.remove_sudoer``'s.
    """
    if find_account(system, name) is None:
        return True
    if is_system_account(system, name, ordinary=ordinary):
        log.error("%s is a system user. Will not delete it.", name)
        return False
    _refuse_name(name)
    with contextlib.suppress(OSError):  # older versions of userdel fail where it is absent
        system.path("/var/run/utmp").touch(0o664)
    options = ("-f", "-r") if with_home else ("-f",)
    result = change_accounts(system, "userdel", *options, name)
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
    # The output is not shown: some versions repeat the line they were given.
    try:
        result = change_accounts(system, "chpasswd", *options, stdin=line.encode("utf-8"))
    except CommandTimedOut as error:
        raise GuestError(
            f"cannot set the password of {name}: chpasswd did not end within {error.timeout_s:g} s"
        ) from None
    if not result.ok:
        trouble = find_disk_trouble(result)
        why = f"chpasswd ended with {result.code}" + (f" ({trouble})" if trouble else "")
        raise GuestError(f"cannot set the password of {name}: {why}")


def _refuse_name(name: str) -> None:
    """What some useradd takes although it would be an option, a path, or two fields."""
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise GuestError(f'cannot use "{name}" as a user name')


def _adopt_home(system: System, name: str) -> None:
    """A home that was there before, such as a deleted user's, belongs to nobody else any more."""
    account = find_account(system, name)
    if account is None:
        return
    try:
        home = os.open(system.path(account.home), _FOLDER)
    except OSError:
        return
    try:
        owner = os.fstat(home).st_uid
        if owner == account.uid:
            return
        if has_account_with(system, owner):
            log.warning("The home %s belongs to another user: keys in it may not do", account.home)
            return
        log.info("The home %s was there already and becomes the user's", account.home)
        os.fchown(home, *account.owner)
    finally:
        os.close(home)


def _ensure_home(system: System, account: Account) -> None:
    """The home that a useradd did not get to make: it was killed, or the disk was full."""
    home = system.path(account.home)
    if home.exists() or account.uid < read_uid_min(system) or account.home in NO_HOMES:
        return
    try:
        with homes.open_folder(system, account.home, mode=HOME_MODE, owner=account.owner):
            log.warning("%s had no home: %s is made, and empty", account.name, account.home)
    except (GuestError, OSError) as error:
        log.warning("Cannot make the home %s: %s", account.home, describe(error))


def _tell_obstacles(system: System, account: Account) -> None:
    """What keeps an account that was there before from logging in; it is not for us to lift."""
    if posixpath.basename(account.shell) in ("nologin", "false"):
        log.warning("%s cannot log in: its shell is %s", account.name, account.shell)
    fields = read_shadow(system, account.name)
    end = fields[7] if len(fields) > 7 else ""
    today = int(system.clock.now().timestamp()) // _DAY_S
    if end.isdigit() and int(end) <= today:
        log.warning(
            "%s cannot log in: the account has expired; chage -E -1 %s lifts that",
            account.name,
            account.name,
        )
