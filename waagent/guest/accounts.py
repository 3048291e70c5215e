"""Reading accounts: /etc/passwd first, then whatever else the guest's name service knows.

Nothing is changed here; that is ``users``.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Optional

from waagent.core import files
from waagent.core.errors import CommandTimedOut, GuestError
from waagent.core.records import dataclass
from waagent.core.system import System

log = logging.getLogger(__name__)

SHADOW = "/etc/shadow"
LOGIN_DEFS = ("/etc/login.defs", "/usr/etc/login.defs")
UID_MIN_WITHOUT_FILE = 100
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Account:
    """A user of this guest."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str = ""
    comment: str = ""

    @property
    def owner(self) -> tuple[int, int]:
        """What its files belong to."""
        return self.uid, self.gid


def find_account(system: System, name: str) -> Optional[Account]:
    """The account of that name, or ``None``."""
    text = files.read_if_there(system.path("/etc/passwd")) or ""
    for line in text.splitlines():
        account = parse_passwd_line(line)
        if account is not None and account.name == name:
            return account
    found = parse_passwd_line(_ask_name_service(system, "passwd", name))
    return found if found is not None and found.name == name else None


def read_account(system: System, name: str) -> Account:
    """The account of that name; a ``GuestError`` if there is none."""
    account = find_account(system, name)
    if account is None:
        raise GuestError(f'cannot find the user "{name}": no such account on this machine')
    return account


def has_group(system: System, name: str) -> bool:
    """Whether there is a group of that name."""
    text = files.read_if_there(system.path("/etc/group")) or ""
    known = any(line.split(":")[0] == name for line in text.splitlines())
    return known or _ask_name_service(system, "group", name).split(":")[0] == name


def has_account_with(system: System, uid: int) -> bool:
    """Whether the uid, not root's, is an account's."""
    if uid == 0:
        return False
    text = files.read_if_there(system.path("/etc/passwd")) or ""
    accounts = map(parse_passwd_line, text.splitlines())
    if any(account is not None and account.uid == uid for account in accounts):
        return True
    return bool(_ask_name_service(system, "passwd", str(uid)))


def parse_passwd_line(line: str) -> Optional[Account]:
    """The account of a line of passwd(5), or ``None`` if it is none."""
    fields = line.split(":")
    if len(fields) != 7:
        return None
    try:
        return Account(fields[0], int(fields[2]), int(fields[3]), fields[5], fields[6], fields[4])
    except ValueError:
        return None


def read_local_accounts(system: System) -> tuple[Account, ...]:
    """The accounts of /etc/passwd alone, which must be there and readable; raises ``OSError``."""
    lines = files.read_text(system.path("/etc/passwd")).splitlines()
    return tuple(account for account in map(parse_passwd_line, lines) if account is not None)


def read_shadow(system: System, name: str) -> list[str]:
    """The fields of an account in /etc/shadow; none where it has no line there."""
    for line in (files.read_if_there(system.path(SHADOW)) or "").splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return fields
    return []


def is_system_account(system: System, name: str, *, ordinary: Collection[str] = ()) -> bool:
    """Whether the account exists and has a uid below ``UID_MIN`` (spec DAEMON 5.4).

    Names in ``ordinary`` never count as system accounts (``Profile.ordinary_system_users``).
    """
    if name in ordinary:
        return False
    account = find_account(system, name)
    return account is not None and account.uid < read_uid_min(system)


def read_uid_min(system: System) -> int:
    """The first uid of ordinary users, from login.defs; 100 when nothing says so."""
    for path in LOGIN_DEFS:
        for line in (files.read_if_there(system.path(path)) or "").splitlines():
            words = line.split()
            if len(words) < 2 or words[0] != "UID_MIN":
                continue
            if words[1].isdigit():
                return int(words[1])
            log.warning('Cannot use "%s" as UID_MIN in %s: it is no number', words[1], path)
    return UID_MIN_WITHOUT_FILE


def _ask_name_service(system: System, database: str, key: str) -> str:
    """What other sources know, such as a directory; empty when they do not answer in time."""
    if not system.has_command("getent"):
        return ""
    try:
        result = system.run("getent", database, key, timeout_s=TIMEOUT_S)
    except CommandTimedOut as error:
        log.warning("Cannot ask the name service for %s in %s: %s", key, database, error)
        return ""
    return result.stdout.strip() if result.ok else ""
